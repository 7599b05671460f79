package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// The events of the stream.
const (
	eventRestart = "restart" // with the registry: what was shown before is to be read anew
	eventChange  = "change"  // with one change
)

const (
	heartbeat    = 15 * time.Second
	eventTime    = 10 * time.Second // in which a reader has to take what has happened
	retryMillis  = "2000"           // after which a browser that was cut off comes back
	maxEventID   = 128
	eventsPath   = "/api/v1/events"
	eventsMedium = "text/event-stream"
)

type eventsAsked struct {
	Since  string `query:"since" maxLength:"128" doc:"begin after this revision"`
	LastID string `header:"Last-Event-ID" maxLength:"128" doc:"the id of the last event seen; it comes before since"`
}

func (s *Server) eventOperations(a huma.API) {
	op := operation{
		id: "follow", method: http.MethodGet, path: eventsPath, tag: "clusters", right: read, lasts: always,
		summary: "What changes, as it happens",
	}
	o := s.describe(&op)
	o.Description = "Server-sent events. The first is 'restart', with the registry as it is: whatever has been shown is to be " +
		"read anew. It is left out if since or Last-Event-ID is known still, and comes again if too much has happened. Each " +
		"'change' is a cluster as it is now, or the ID of one that is gone; its id is the revision to go on from. A comment " +
		"comes every 15 seconds if nothing else does."
	schemas := a.OpenAPI().Components.Schemas
	o.Responses = map[string]*huma.Response{"200": {
		Description: "A stream that does not end",
		Content: map[string]*huma.MediaType{eventsMedium: {Schema: &huma.Schema{
			Type: huma.TypeArray, Description: "the events, each in the form of text/event-stream",
			Items: &huma.Schema{OneOf: []*huma.Schema{
				eventSchema(eventRestart, schemas.Schema(reflect.TypeFor[api.Registry](), true, "")),
				eventSchema(eventChange, schemas.Schema(reflect.TypeFor[api.Change](), true, "")),
			}},
		}}},
	}}
	huma.Register(a, o, func(_ context.Context, in *eventsAsked) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			_, w := humago.Unwrap(ctx)
			s.follow(ctx.Context(), w, in)
		}}, nil
	})
}

func eventSchema(name string, data *huma.Schema) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{"event", "data"},
		Properties: map[string]*huma.Schema{
			"id":    {Type: huma.TypeString, Description: "the revision to go on from; absent before the first change"},
			"event": {Type: huma.TypeString, Enum: []any{name}},
			"data":  data,
		},
	}
}

// The ends of a stream that are not its reader's doing, or the server's.
var (
	errLate    = errors.New("the reader does not keep up")
	errRevoked = errors.New("the token has been revoked")
)

// follow sends events until the reader has gone or does not keep up, its token has been
// revoked, the server stops, or the registry cannot be followed.
func (s *Server) follow(ctx context.Context, w http.ResponseWriter, in *eventsAsked) {
	ctx, stop := untilStop(ctx)
	defer stop()
	since := cmp.Or(in.LastID, in.Since)
	w.Header().Set("Content-Type", eventsMedium)
	w.Header().Set("X-Accel-Buffering", "no") // proxies are not to collect events
	out := &eventStream{w: w, control: http.NewResponseController(w)}
	err := s.pump(ctx, out, since)
	s.cfg.Logger.Debug("admin stream ended", "err", err, "from", VisitorOf(ctx).From)
}

// pump is the stream: what happens, and a sign of life beside it.
func (s *Server) pump(ctx context.Context, out *eventStream, since string) error {
	if err := out.begin(); err != nil { // headers go out at once
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { cancel(s.beat(ctx, out)) })
	defer beating.Wait()
	defer cancel(nil)
	err := s.cfg.Steward.Follow(ctx, since, func(restart bool, changes []api.Change) error {
		return s.sendBatch(out, restart, changes)
	})
	return cmp.Or(context.Cause(ctx), err)
}

// beat sends signs of life until that fails, or the reader may read no more.
func (s *Server) beat(ctx context.Context, out *eventStream) error {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if !s.mayStill(ctx) {
			return errRevoked
		}
		if err := out.beat(); err != nil {
			return err
		}
	}
}

func (s *Server) sendBatch(out *eventStream, restart bool, changes []api.Change) error {
	var batch bytes.Buffer
	if restart {
		about := s.registry()
		// Its id is the revision of what Follow tells next, not of the registry, which
		// may have changed since: none is better than one that skips something.
		if err := addEvent(&batch, eventRestart, "", about); err != nil {
			return err
		}
	}
	for i := range changes {
		if err := addEvent(&batch, eventChange, changes[i].Revision, &changes[i]); err != nil {
			return err
		}
	}
	return out.send(batch.Bytes())
}

// addEvent adds one event. An id that is no single line would be taken for something
// else, and is left out.
func addEvent(to *bytes.Buffer, name, id string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if id != "" && len(id) <= maxEventID && !strings.ContainsAny(id, "\r\n\x00") {
		to.WriteString("id: " + id + "\n")
	}
	to.WriteString("event: " + name + "\ndata: ")
	to.Write(text)
	to.WriteString("\n\n")
	return nil
}

// mayStill reports whether the token that a stream was opened with is good still.
func (s *Server) mayStill(ctx context.Context) bool {
	v := VisitorOf(ctx)
	return !v.ByToken || s.cfg.Tokens.has(v.Name)
}

// eventStream writes events, each batch of them with a deadline of its own.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController

	mu sync.Mutex // held while something is written
}

// begin says when to come back after an end.
func (o *eventStream) begin() error { return o.send([]byte("retry: " + retryMillis + "\n\n")) }

// beat sends a comment, which no reader sees.
func (o *eventStream) beat() error { return o.send([]byte(":\n\n")) }

func (o *eventStream) send(text []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.control.SetWriteDeadline(time.Now().Add(eventTime))
	if err == nil {
		_, err = o.w.Write(text)
	}
	if err == nil {
		err = o.control.Flush()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errLate
	}
	return err
}
