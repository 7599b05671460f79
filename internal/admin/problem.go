package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// What is wrong with who asks, and not with what is asked for.
var (
	errUnknown   = errors.New("nobody has said who asks")
	errForbidden = errors.New("reading only")
	errTooOften  = errors.New("too many attempts")
	errNoRoute   = errors.New("no such path")
	errMethod    = errors.New("no such method here")
	errHost      = errors.New("unknown host")
	errOrigin    = errors.New("from another site")
)

// kind is what an error is to those who asked: a name for programs and a status for all.
type kind struct {
	err    error
	name   string
	status int
}

// kinds are all kinds of errors but the internal ones, which nobody else is told.
var kinds = []kind{
	{api.ErrNotFound, "not-found", http.StatusNotFound},
	{api.ErrOwned, "owned", http.StatusConflict},
	{api.ErrChanged, "changed", http.StatusPreconditionFailed},
	{api.ErrInvalid, "invalid", http.StatusUnprocessableEntity},
	{api.ErrUnsupported, "unsupported", http.StatusNotImplemented},
	{api.ErrUnavailable, "unavailable", http.StatusServiceUnavailable},
	{errTokenExists, "exists", http.StatusConflict},
	{errFull, "busy", http.StatusServiceUnavailable},
	{errUnknown, "unknown", http.StatusUnauthorized},
	{errForbidden, "forbidden", http.StatusForbidden},
	{errTooOften, "too-often", http.StatusTooManyRequests},
	{errNoRoute, "not-found", http.StatusNotFound},
	{errMethod, "method", http.StatusMethodNotAllowed},
	{errHost, "host", http.StatusMisdirectedRequest},
	{errOrigin, "origin", http.StatusForbidden},
	{context.Canceled, "unavailable", http.StatusServiceUnavailable},
	{context.DeadlineExceeded, "unavailable", http.StatusServiceUnavailable},
}

// problemPrefix makes the names of kinds URIs, as RFC 9457 wants them.
const problemPrefix = "urn:xlreg:problem:"

// retrySeconds is when to come back if something cannot be had now.
const retrySeconds = "1"

// problem returns what is said about an error to those who asked, and whether it is
// internal, which is said and nothing else. It is the only place where this is decided.
func problem(err error) (p *huma.ErrorModel, internal bool) {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return &huma.ErrorModel{
				Type: problemPrefix + k.name, Title: http.StatusText(k.status), Status: k.status, Detail: err.Error(),
			}, false
		}
	}
	const status = http.StatusInternalServerError
	return &huma.ErrorModel{
		Type: problemPrefix + "internal", Title: http.StatusText(status), Status: status,
		Detail: "the registry could not do it: its log says why",
	}, true
}

// refuse answers with a problem.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, internal := problem(err)
	if internal {
		s.cfg.Logger.Error("admin request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	header := w.Header()
	setAPIHeaders(header)
	setProblemHeaders(header, p.Status, s.isPage(r))
	header.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // whoever does not take it has gone
}

// setProblemHeaders adds what has to go with some kinds of problems. Browsers ask people
// for a token if they are told of Basic, so a page is the only place to tell them.
func setProblemHeaders(h http.Header, status int, page bool) {
	switch {
	case status == http.StatusUnauthorized && page:
		h.Set("WWW-Authenticate", `Basic realm="xlreg, the password is a token", charset="UTF-8"`)
	case status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="xlreg"`)
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		h.Set("Retry-After", retrySeconds)
	}
}

// isPage reports whether a request is for what people read.
func (s *Server) isPage(r *http.Request) bool {
	return s.cfg.Page != nil && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != metricsPath
}

// invalid returns an error about the form of a request.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{api.ErrInvalid}, args...)...)
}
