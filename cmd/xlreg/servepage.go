package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/admin/page"
)

// newPage returns the page of a registry, for the admin side to let people in to.
func newPage(ctx context.Context, cfg *serveConfig, registry page.Source, tokens *admin.Tokens) http.Handler {
	return page.New(page.Config{
		Source: registry, Logger: cfg.log, Done: ctx.Done(),
		MayRead:   func(r *http.Request) bool { return mayStill(tokens, admin.VisitorOf(r.Context())) },
		MayChange: func(r *http.Request) bool { return admin.VisitorOf(r.Context()).Changes },
	})
}

// mayStill reports whether a visitor may go on: one with a token until it is revoked, and
// all others always.
func mayStill(tokens *admin.Tokens, v admin.Visitor) bool {
	if !v.ByToken {
		return true
	}
	return slices.ContainsFunc(tokens.List(), func(t api.Token) bool { return t.Name == v.Name })
}
