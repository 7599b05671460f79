// Package page is what those who run a registry see in a browser. The server only reads:
// what the page can change, its script changes through the JSON API, with a token that the
// operator types and that nothing keeps.
package page

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// Source is what the page reads of a registry, a part of admin.Steward.
type Source interface {
	Registry() api.Registry
	Clusters(ctx context.Context, q api.ClusterQuery) (api.Page[api.Cluster], error)
	Cluster(ctx context.Context, id string) (api.ClusterDetail, error)
	Nodes(ctx context.Context, cursor string, limit int) (api.Page[api.Node], error)
	Sessions(cursor string, limit int) (api.Page[api.Session], error)
	Limits() []api.Limit
	Follow(ctx context.Context, since string, f func(restart bool, changes []api.Change) error) error
}

// Config is what a page is made of. Whoever mounts it has checked that a request may read.
type Config struct {
	Source Source
	Logger *slog.Logger
	// MayChange reports whether a request may change things by itself, as one with the
	// certificate of an admin key may; then no token is asked for. nil: none may.
	MayChange func(*http.Request) bool
	// MayRead is asked again while a stream is open, so that a right that has been taken
	// away ends it. nil: every stream may go on.
	MayRead func(*http.Request) bool
	// Done ends all streams when it is closed. nil: they end with their requests.
	Done <-chan struct{}
	// Streams is how many streams may be open at a time. 0: DefaultStreams.
	Streams int
}

// DefaultStreams is how many streams may be open unless Config says otherwise.
const DefaultStreams = 256

// page answers browsers.
type page struct {
	cfg     Config
	assets  assets
	html    *template.Template
	hub     *hub
	streams chan struct{} // one element for each open stream
}

// New returns the handler of all pages, at the root of its server. What it starts ends
// with the requests that it serves.
func New(cfg Config) http.Handler {
	if cfg.Streams == 0 {
		cfg.Streams = DefaultStreams
	}
	p := &page{cfg: cfg, assets: loadAssets(), html: parseTemplates(), streams: make(chan struct{}, cfg.Streams)}
	p.hub = newHub(cfg.Source, cfg.Logger)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show(p.overview))
	mux.HandleFunc("GET /clusters", p.show(p.clusters))
	mux.HandleFunc("GET /clusters/{id}", p.show(p.cluster))
	mux.HandleFunc("GET /nodes", p.show(p.nodes))
	mux.HandleFunc("GET /sessions", p.show(p.sessions))
	mux.HandleFunc("GET /limits", p.show(p.limits))
	mux.HandleFunc("GET /", p.show(p.nothing))
	mux.HandleFunc("GET "+assetPath+"{name}", p.assets.serve)
	mux.HandleFunc("GET /events/overview", p.stream(p.overviewView))
	mux.HandleFunc("GET /events/clusters", p.stream(p.clustersView))
	mux.HandleFunc("GET /events/clusters/{id}", p.stream(p.clusterView))
	mux.HandleFunc("GET /events/limits", p.stream(p.limitsView))
	return guarded(mux)
}

// The policy begins with nothing, and allows what the page has: one stylesheet, one
// module, one icon, and requests to the server it comes from. No string becomes HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// content is what one page shows: the name of its template, and the data for it.
type content struct {
	template string
	title    string
	section  string // which link of the navigation is the current one
	events   string // the stream that keeps it live; empty: none
	rows     []row  // those that are no part of a list, by their keys
	data     any
}

// document is what the templates are given.
type document struct {
	Title    string
	Section  string
	Events   string
	Assets   assets
	Registry api.Registry
	Now      time.Time
	Free     bool // this browser may change things without a token
	Row      map[string]row
	Data     any
}

// show renders what read returns.
func (p *page) show(read func(*http.Request) (content, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := read(r)
		status := http.StatusOK
		if err != nil {
			c, status = p.problem(r, err)
		}
		p.render(w, r, status, c)
	}
}

func (p *page) render(w http.ResponseWriter, r *http.Request, status int, c content) {
	doc := document{
		Title: c.title, Section: c.section, Events: c.events, Assets: p.assets,
		Registry: p.cfg.Source.Registry(), Now: time.Now().UTC(),
		Free: p.cfg.MayChange != nil && p.cfg.MayChange(r),
		Row:  make(map[string]row), Data: c.data,
	}
	for _, row := range c.rows {
		doc.Row[row.Key] = row
	}
	var b bytes.Buffer
	if err := p.html.ExecuteTemplate(&b, c.template, doc); err != nil {
		p.cfg.Logger.Error("page cannot be rendered", "page", c.template, "err", err)
		http.Error(w, "this page cannot be shown: see the registry's log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a browser that has gone wants no more
}

func (p *page) nothing(*http.Request) (content, error) { return content{}, api.ErrNotFound }

// problem is the page for an error. What is not for the reader is logged.
func (p *page) problem(r *http.Request, err error) (content, int) {
	status, title, advice := explain(err)
	if status == http.StatusInternalServerError && r.Context().Err() == nil {
		p.cfg.Logger.Error("page cannot be made", "path", r.URL.Path, "err", err)
	}
	return content{template: "problem.html", title: title, data: advice}, status
}

// explain says what an error is for whoever reads the page.
func explain(err error) (status int, title, advice string) {
	switch {
	case errors.Is(err, api.ErrNotFound):
		return http.StatusNotFound, "Nothing here", "There is no such page, or the cluster has been deleted."
	case errors.Is(err, api.ErrInvalid):
		return http.StatusBadRequest, "Cannot be shown", "The address of this page asks for something that does not exist. Begin again from the list."
	case errors.Is(err, api.ErrUnavailable):
		return http.StatusServiceUnavailable, "Not now", "The registry is busy or starting. Try again in a few seconds."
	}
	return http.StatusInternalServerError, "Something is wrong", "The registry's log says what."
}
