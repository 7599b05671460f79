package admin

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Document returns what describes the operations, to walk over.
func (s *Server) Document() *huma.OpenAPI { return s.operations(http.NewServeMux()) }

// Streams returns how many streams and waits are open.
func (s *Server) Streams() int { return len(s.streams.all) + len(s.streams.reserve) }
