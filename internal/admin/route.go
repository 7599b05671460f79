package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

// Where what is no operation of the API is found.
const (
	apiPrefix   = "/api/"
	metricsPath = "/metrics"
	openAPIPath = "/api/v1/openapi.yaml"
	pprofPath   = "/debug/pprof/"
)

// route makes the handlers: one with what is offered everywhere, and one with what is for
// the socket alone beside it.
func (s *Server) route() (err error) {
	operations := http.NewServeMux()
	if s.openAPI, err = s.operations(operations).YAML(); err != nil {
		return fmt.Errorf("describe the API: %w", err)
	}
	offered := http.NewServeMux()
	s.offer(offered, operations)
	s.api = s.answer(offered)

	more := http.NewServeMux()
	s.offer(more, operations)
	more.HandleFunc("GET "+pprofPath, pprof.Index)
	more.HandleFunc("GET "+pprofPath+"cmdline", pprof.Cmdline)
	more.HandleFunc("GET "+pprofPath+"profile", lasting(pprof.Profile))
	more.HandleFunc("GET "+pprofPath+"symbol", pprof.Symbol)
	more.HandleFunc("GET "+pprofPath+"trace", lasting(pprof.Trace))
	s.local = s.answer(more)
	return nil
}

// offer adds what is offered everywhere to a mux.
func (s *Server) offer(mux *http.ServeMux, operations http.Handler) {
	mux.Handle(apiPrefix, operations)
	mux.HandleFunc("GET "+livePath, func(w http.ResponseWriter, _ *http.Request) { tell(w, true) })
	mux.HandleFunc("GET "+readyPath, func(w http.ResponseWriter, r *http.Request) { tell(w, s.ready(r.Context())) })
	mux.Handle("GET "+openAPIPath, s.need(read, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+yaml")
		_, _ = w.Write(s.openAPI) // whoever does not take it has gone
	})))
	if s.cfg.Metrics != nil {
		mux.Handle("GET "+metricsPath, s.need(read, s.inRoom(s.cfg.Metrics)))
	}
	if s.cfg.Page != nil {
		mux.Handle("/", s.need(read, s.cfg.Page))
	}
}

// need lets a request pass if whoever sent it has a right.
func (s *Server) need(what right, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := VisitorOf(r.Context())
		if err := v.may(what); err != nil {
			s.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// inRoom lets a request wait until there is room for it.
func (s *Server) inRoom(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leave, err := s.enter(w, r, VisitorOf(r.Context()), false)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		defer leave()
		next.ServeHTTP(w, r)
	})
}

// lasting takes the deadlines away from a request that lasts as long as is asked for.
func lasting(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		next(w, r)
	}
}

// onSocket answers what comes by the socket.
func (s *Server) onSocket() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.local.ServeHTTP(w, withVisitor(r, local()))
	})
}

// onNetwork answers what comes over TCP: it has to be for a name of ours, not sent by the
// page of somebody else, and to show nothing that is no good.
func (s *Server) onNetwork() http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := s.admit(origins, r)
		if err != nil {
			w.Header().Set("Connection", "close") // nothing is kept for strangers
			s.refuse(w, r, err)
			return
		}
		if v.Name != "" {
			welcome(r)
		}
		s.api.ServeHTTP(w, withVisitor(r, v))
	})
}

func (s *Server) admit(origins *http.CrossOriginProtection, r *http.Request) (Visitor, error) {
	if err := s.checkHost(r); err != nil {
		return Visitor{}, err
	}
	if err := origins.Check(r); err != nil {
		return Visitor{}, fmt.Errorf("%w: pages of other sites may change nothing here", errOrigin)
	}
	return s.identify(r)
}

// answer serves what a mux has, and says by a problem what it has not.
func (s *Server) answer(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.isPage(r) {
			setAPIHeaders(w.Header())
		}
		mux := mux
		h, pattern := mux.Handler(r)
		if inner, ok := h.(*http.ServeMux); ok { // the operations
			mux = inner
			h, pattern = mux.Handler(r)
		}
		if pattern == "" {
			s.refuse(w, r, missing(h, w, r))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// setAPIHeaders says that what follows is for programs, and not to be kept or shown.
func setAPIHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
}

// missing returns what is wrong with a request for which a mux has nothing but h, and
// copies which methods there are.
func missing(h http.Handler, w http.ResponseWriter, r *http.Request) error {
	answer := &statusOnly{header: make(http.Header)}
	h.ServeHTTP(answer, r)
	if answer.status == http.StatusMethodNotAllowed {
		allowed := answer.header.Get("Allow")
		w.Header().Set("Allow", allowed)
		return fmt.Errorf("%w: %s is not among %s", errMethod, r.Method, allowed)
	}
	return fmt.Errorf("%w: %.200q", errNoRoute, strings.ToValidUTF8(r.URL.Path, "?"))
}

// statusOnly is an answer of which the body is of no interest.
type statusOnly struct {
	header http.Header
	status int
}

func (a *statusOnly) Header() http.Header         { return a.header }
func (a *statusOnly) WriteHeader(status int)      { a.status = status }
func (a *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
