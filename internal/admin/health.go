package admin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// What load balancers and supervisors ask: the first at an address of its own, the others
// beside the API.
const (
	healthPath = "/healthz"
	livePath   = "/livez"
	readyPath  = "/readyz"
)

// Health answers one question and tells nothing else, so that anybody may ask: whether
// clients are served.
type Health struct {
	http *http.Server
}

// NewHealth returns a Health: 200 is yes, 503 not now.
func NewHealth(ready func() bool, log *slog.Logger) *Health {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) { tell(w, ready()) })
	h := &Health{http: newHTTP(mux, log)}
	h.http.WriteTimeout = requestTime
	return h
}

// Serve answers until ctx ends. It closes the listener, and may be called once.
func (h *Health) Serve(ctx context.Context, l net.Listener) error { return serve(ctx, h.http, l) }

func tell(w http.ResponseWriter, ready bool) {
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		http.Error(w, "clients are not served now", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n")) // whoever does not take it has not asked
}

// storeTime is how long the store may take to answer until the registry is not ready.
const storeTime = 2 * time.Second

// ready reports whether the registry serves clients: its store answers, and it is not
// being drained.
func (s *Server) ready(ctx context.Context) bool {
	about := s.cfg.Steward.Registry()
	if !about.Ready || about.Draining {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	_, err := s.cfg.Steward.Clusters(ctx, api.ClusterQuery{Limit: 1})
	return err == nil
}
