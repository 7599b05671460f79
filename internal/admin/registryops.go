package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// replied is an answer with a body and nothing beside it.
type replied[T any] struct{ Body T }

// nothing is a request without parameters, or an answer without a body.
type nothing struct{}

// switched is whether something is on.
type switched struct {
	On bool `json:"on"`
}

// levelled is a level of the log.
type levelled struct {
	Level string `json:"level" enum:"debug,info,warn,error" doc:"from which the registry logs"`
}

func (s *Server) registryOperations(a huma.API) {
	add(s, a, operation{
		id: "get-registry", method: http.MethodGet, path: "/api/v1/registry", tag: "registry", right: read,
		summary: "What the registry is, and how it fares",
	}, func(context.Context, *nothing) (*replied[api.Registry], error) {
		return &replied[api.Registry]{s.registry()}, nil
	})
	add(s, a, operation{
		id: "list-limits", method: http.MethodGet, path: "/api/v1/limits", tag: "registry", right: read,
		summary: "The limits, those that were met first",
	}, func(context.Context, *nothing) (*replied[api.Page[api.Limit]], error) {
		return &replied[api.Page[api.Limit]]{api.Page[api.Limit]{Items: listed(s.cfg.Steward.Limits())}}, nil
	})
	add(s, a, operation{
		id: "set-drain", method: http.MethodPut, path: "/api/v1/drain", tag: "registry", right: change,
		summary: "Let the server take no more connections, or take them again",
	}, func(ctx context.Context, in *replied[switched]) (*replied[switched], error) {
		err := s.changer(ctx).Drain(ctx, in.Body.On)
		if err == nil {
			s.record(ctx, "drain", strconv.FormatBool(in.Body.On))
		}
		return in, err
	})
	add(s, a, operation{
		id: "set-log-level", method: http.MethodPut, path: "/api/v1/log-level", tag: "registry", right: change,
		summary: "Log more, or less",
	}, func(ctx context.Context, in *replied[levelled]) (*replied[levelled], error) {
		err := s.changer(ctx).SetLogLevel(ctx, in.Body.Level)
		if err == nil {
			s.record(ctx, "log_level", in.Body.Level)
		}
		return in, err
	})
}

// registry returns what the registry is, with every state and every list in it.
func (s *Server) registry() api.Registry {
	about := s.cfg.Steward.Registry()
	byState := make(map[api.State]int)
	for _, state := range api.States() {
		byState[state] = about.ByState[state]
	}
	about.ByState = byState
	about.Endpoints, about.Protocols = listed(about.Endpoints), listed(about.Protocols)
	about.Formations = listed(about.Formations)
	return about
}

// changer returns what makes changes in the name of whoever asks.
func (s *Server) changer(ctx context.Context) Changer {
	v := VisitorOf(ctx)
	return s.cfg.Steward.By(v.Name, v.From)
}

// listed returns a list that is empty, and not null, if there is nothing in it.
func listed[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
