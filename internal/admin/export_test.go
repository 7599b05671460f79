package admin

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Document returns what describes the operations, to walk over.
func (s *Server) Document() *huma.OpenAPI { return s.operations(http.NewServeMux()) }

// Heartbeat is how often a stream gives a sign of life.
const Heartbeat = heartbeat
