package admin

import (
	"log/slog"
	"net/http"
)

// healthPath is what load balancers and supervisors ask.
const healthPath = "/healthz"

// NewHealth returns a Server that answers one question and tells nothing else, so that
// anybody may ask: whether clients are served. 200 is yes, 503 not now.
func NewHealth(ready func() bool, log *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !ready() {
			http.Error(w, "clients are not served now", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n")) // whoever does not take it has not asked
	})
	s := &Server{http: newHTTP(mux, log)}
	s.http.WriteTimeout = requestTime
	return s
}
