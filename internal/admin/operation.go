package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// apiVersion is that of the API, not of the program.
const apiVersion = "1.0.0"

// rightExtension says in the OpenAPI which right an operation needs.
const rightExtension = "x-right"

// operations adds all operations of the API to a mux, and returns what describes them.
func (s *Server) operations(mux *http.ServeMux) *huma.OpenAPI {
	document := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "xlreg admin API", Version: apiVersion,
			Description: "See and steer a cluster registry. Reading is free on the machine of the registry; from " +
				"elsewhere, and for every change, a token or the client certificate of an admin's key is needed.",
			License: &huma.License{Name: "MIT", Identifier: "MIT"},
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token":       {Type: "http", Scheme: "bearer", Description: "a token that the registry has made"},
				"certificate": {Type: "mutualTLS", Description: "of a key that the registry was started with as an admin's"},
			},
		},
		Tags: []*huma.Tag{
			{Name: "registry", Description: "The registry as a whole"},
			{Name: "clusters", Description: "Clusters and their members"},
			{Name: "nodes", Description: "Nodes and their connections"},
			{Name: "tokens", Description: "Who may do what"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "the registry that answers"}},
	}
	a := humago.New(mux, huma.Config{
		OpenAPI: document, DefaultFormat: "application/json", RejectUnknownQueryParameters: true,
		Formats: map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
	})
	s.registryOperations(a)
	s.clusterOperations(a)
	s.nodeOperations(a)
	s.eventOperations(a)
	s.tokenOperations(a)
	s.backupOperation(a)
	loosen(document)
	return document
}

// loosen makes the description say what holds in later versions, too: answers may have
// more in them, requests may not; and a list is never null.
func loosen(document *huma.OpenAPI) {
	asked := make(map[*huma.Schema]bool)
	schemas := document.Components.Schemas
	for _, path := range document.Paths {
		for _, op := range []*huma.Operation{path.Put, path.Post} {
			if op != nil && op.RequestBody != nil {
				asked[schemas.SchemaFromRef(op.RequestBody.Content["application/json"].Schema.Ref)] = true
			}
		}
	}
	for _, schema := range schemas.Map() {
		if !asked[schema] {
			schema.AdditionalProperties = nil
		}
		for _, property := range schema.Properties {
			property.Nullable = property.Nullable && property.Type != huma.TypeArray
		}
	}
}

// operation is what all operations have in common.
type operation struct {
	id, method, path string
	tag, summary     string
	right            right
	lasts            func(*http.Request) bool // whether it takes as long as was asked for; nil: never
	status           int                      // 0: 200
	errors           []int
}

// add adds an operation. Errors of f become problems here, and nowhere else.
func add[I, O any](s *Server, a huma.API, op operation, f func(context.Context, *I) (*O, error)) {
	if op.lasts == nil {
		op.lasts = never
	}
	o := s.describe(&op)
	huma.Register(a, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err == nil {
			return out, nil
		}
		return nil, s.explain(op.id, err)
	})
}

func (s *Server) describe(op *operation) huma.Operation {
	errs := append([]int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusUnprocessableEntity,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}, op.errors...)
	if op.method == http.MethodPut || op.method == http.MethodPost {
		errs = append(errs, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	security := []map[string][]string{{"token": {}}, {"certificate": {}}}
	if op.right == read {
		security = append(security, map[string][]string{}) // on the registry's machine
	}
	return huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Tags: []string{op.tag}, Summary: op.summary,
		DefaultStatus: op.status, Security: security, MaxBodyBytes: maxBody, BodyReadTimeout: requestTime,
		Errors:      errs,
		Extensions:  map[string]any{rightExtension: string(op.right)},
		Middlewares: huma.Middlewares{s.guard(op)},
	}
}

// explain turns an error into what is said about it; an internal cause is logged.
func (s *Server) explain(operation string, err error) error {
	var done huma.StatusError
	if errors.As(err, &done) {
		return err
	}
	p, internal := problem(err)
	if internal {
		s.cfg.Logger.Error("admin request failed", "operation", operation, "err", err)
	}
	header := make(http.Header)
	setProblemHeaders(header, p.Status, false)
	return huma.ErrorWithHeaders(p, header)
}

// guard lets in whoever has the right to an operation, while there is room.
func (s *Server) guard(op *operation) func(huma.Context, func(huma.Context)) {
	what, lasts := op.right, op.lasts
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		v := VisitorOf(ctx.Context())
		if err := v.may(what); err != nil {
			s.refuse(w, r, err)
			return
		}
		leave, err := s.enter(w, r, v, lasts(r))
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		defer leave()
		next(ctx)
	}
}

// enter finds room for a request. On the socket nobody has to be kept from anything.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, v Visitor, lasts bool) (leave func(), err error) {
	in := s.requests
	if lasts {
		in = s.streams
		if err := takeTime(w, r); err != nil {
			return nil, err
		}
	}
	if v == local() {
		return func() {}, nil
	}
	return in.enter(r.Context(), v.Changes)
}

// takeTime takes the deadlines away from a request that lasts: each piece of its answer
// has one of its own. A body would have none, and is of no use.
func takeTime(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength != 0 {
		return invalid("no body is wanted here")
	}
	control := http.NewResponseController(w)
	return errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Now().Add(maxWait+writeTime)))
}

// How long a request may last.
func never(*http.Request) bool     { return false }
func always(*http.Request) bool    { return true }
func ifWaits(r *http.Request) bool { return r.URL.Query().Has("wait") }
