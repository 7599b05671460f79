package admin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/xlattice/xlreg/internal/admin/api"
)

type tokenWanted struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"128" pattern:"^[A-Za-z_][A-Za-z0-9_.-]*$" doc:"whose it is"`
		ReadOnly bool   `json:"read_only,omitempty" nullable:"true" doc:"it may see everything and change nothing"`
	}
}

// tokenMade is a token with what is shown once.
type tokenMade struct {
	api.Token
	Secret string `json:"secret" doc:"the token itself, which is not shown again"`
}

type tokenNamed struct {
	Name string `path:"name" maxLength:"128"`
}

// Everything about tokens needs the right to change, even to see who has one.
func (s *Server) tokenOperations(a huma.API) {
	add(s, a, operation{
		id: "list-tokens", method: http.MethodGet, path: "/api/v1/tokens", tag: "tokens", right: change,
		summary: "The tokens there are, without themselves", errors: []int{http.StatusNotImplemented},
	}, func(context.Context, *nothing) (*replied[api.Page[api.Token]], error) {
		t, err := s.tokens()
		if err != nil {
			return nil, err
		}
		list := t.List()
		return &replied[api.Page[api.Token]]{api.Page[api.Token]{Items: list, Total: len(list)}}, nil
	})
	add(s, a, operation{
		id: "create-token", method: http.MethodPost, path: "/api/v1/tokens", tag: "tokens", right: change,
		summary: "Make a token", status: http.StatusCreated, errors: []int{http.StatusConflict, http.StatusNotImplemented},
	}, s.createToken)
	add(s, a, operation{
		id: "revoke-token", method: http.MethodDelete, path: "/api/v1/tokens/{name}", tag: "tokens", right: change,
		summary: "Take a token away", status: http.StatusNoContent, errors: []int{http.StatusNotFound, http.StatusNotImplemented},
	}, s.revokeToken)
}

func (s *Server) tokens() (*Tokens, error) {
	if s.cfg.Tokens == nil {
		return nil, fmt.Errorf("%w: the registry keeps no tokens", api.ErrUnsupported)
	}
	return s.cfg.Tokens, nil
}

func (s *Server) createToken(ctx context.Context, in *tokenWanted) (*replied[tokenMade], error) {
	t, err := s.tokens()
	if err != nil {
		return nil, err
	}
	made, secret, err := t.Create(in.Body.Name, in.Body.ReadOnly)
	if err != nil {
		return nil, err
	}
	v := VisitorOf(ctx)
	s.cfg.Logger.Info("admin token made", "token", made.Name, "read_only", made.ReadOnly, "by", v.Name, "from", v.From)
	s.record(ctx, "token_created", made.Name)
	return &replied[tokenMade]{tokenMade{made, secret}}, nil
}

func (s *Server) revokeToken(ctx context.Context, in *tokenNamed) (*nothing, error) {
	t, err := s.tokens()
	if err != nil {
		return nil, err
	}
	if err := t.Revoke(in.Name); err != nil {
		return nil, err
	}
	v := VisitorOf(ctx)
	s.cfg.Logger.Info("admin token revoked", "token", in.Name, "by", v.Name, "from", v.From)
	s.record(ctx, "token_revoked", in.Name)
	return nil, nil
}
