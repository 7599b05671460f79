package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// paged is which part of a list is wanted.
type paged struct {
	Cursor string `query:"cursor" maxLength:"512" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type nodeAsked struct {
	ID string `path:"id" maxLength:"64" pattern:"^[0-9a-f]+$"`
}

func (s *Server) nodeOperations(a huma.API) {
	add(s, a, operation{
		id: "list-nodes", method: http.MethodGet, path: "/api/v1/nodes", tag: "nodes", right: read,
		summary: "A page of nodes, by ID",
	}, func(ctx context.Context, in *paged) (*replied[api.Page[api.Node]], error) {
		page, err := s.cfg.Steward.Nodes(ctx, in.Cursor, in.Limit)
		page.Items = listed(page.Items)
		for i := range page.Items {
			page.Items[i].Endpoints = listed(page.Items[i].Endpoints)
		}
		return &replied[api.Page[api.Node]]{page}, err
	})
	add(s, a, operation{
		id: "get-node", method: http.MethodGet, path: "/api/v1/nodes/{id}", tag: "nodes", right: read,
		summary: "One node", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *nodeAsked) (*replied[api.Node], error) {
		node, err := s.cfg.Steward.Node(ctx, in.ID)
		node.Endpoints = listed(node.Endpoints)
		return &replied[api.Node]{node}, err
	})
	add(s, a, operation{
		id: "forget-node", method: http.MethodDelete, path: "/api/v1/nodes/{id}", tag: "nodes", right: change,
		summary: "Forget a node that has no seat", status: http.StatusNoContent,
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusNotImplemented},
	}, func(ctx context.Context, in *nodeAsked) (*nothing, error) {
		return nil, s.changer(ctx).Forget(ctx, in.ID)
	})
	add(s, a, operation{
		id: "list-sessions", method: http.MethodGet, path: "/api/v1/sessions", tag: "nodes", right: read,
		summary: "A page of the connections that are open, in the order in which they began",
	}, func(_ context.Context, in *paged) (*replied[api.Page[api.Session]], error) {
		page, err := s.cfg.Steward.Sessions(in.Cursor, in.Limit)
		page.Items = listed(page.Items)
		return &replied[api.Page[api.Session]]{page}, err
	})
}
