package server

// Omitted returns how many refused connections nobody has been told of.
func (s *Server) Omitted(limit string) int { return s.omitted.take(limit) }
