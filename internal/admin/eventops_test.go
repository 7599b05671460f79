package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// event is one of a stream.
type event struct{ id, name, data string }

// reader reads a stream.
type reader struct {
	t       *testing.T
	resp    *http.Response
	scanner *bufio.Scanner
	cancel  context.CancelFunc
}

func (w *world) stream(path string, headers ...string) *reader {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req) //nolint:bodyclose // by close, at the end of the test at the latest
	if err != nil {
		w.t.Fatal(err)
	}
	r := &reader{w.t, resp, bufio.NewScanner(resp.Body), cancel}
	w.t.Cleanup(r.close)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	return r
}

func (r *reader) close() {
	r.cancel()
	_ = r.resp.Body.Close()
}

// next returns the next event.
func (r *reader) next() event {
	r.t.Helper()
	var e event
	for r.scanner.Scan() {
		name, value, _ := strings.Cut(r.scanner.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				return e
			}
		}
	}
	r.t.Fatalf("the stream ended: %v", r.scanner.Err())
	return e
}

// change returns the next event, which has to be a change.
func (r *reader) change() (id string, c api.Change) {
	r.t.Helper()
	e := r.next()
	if err := json.Unmarshal([]byte(e.data), &c); e.name != "change" || err != nil || c.Revision != e.id {
		r.t.Fatalf("%+v: %v", e, err)
	}
	return e.id, c
}

func TestEvents(t *testing.T) {
	w := newWorld(t, admin.Config{})
	w.registry.Create("before", 2)
	r := w.stream("/api/v1/events")
	if e := r.next(); e.name != "restart" || !strings.Contains(e.data, `"clusters":1`) {
		t.Fatalf("the first event is %+v", e)
	}
	id := w.registry.Create("choir", 2)
	seen, c := r.change()
	if c.Cluster == nil || c.Cluster.ID != id {
		t.Errorf("%+v", c)
	}
	r.close()
	w.registry.Join(id, "a", 0)
	for _, again := range []*reader{
		w.stream("/api/v1/events", "Last-Event-ID", seen),
		w.stream("/api/v1/events?since=" + seen),
		w.stream("/api/v1/events?since=nonsense", "Last-Event-ID", seen),
	} {
		if _, c := again.change(); c.Cluster == nil || c.Cluster.Members != 1 {
			t.Errorf("after a break: %+v", c)
		}
	}
	w.registry.Vanish(id)
	if _, c := w.stream("/api/v1/events?since=" + seen).change(); c.Gone != id {
		t.Errorf("gone: %+v", c)
	}
	w.registry.ForgetHistory()
	if e := w.stream("/api/v1/events?since=" + seen).next(); e.name != "restart" {
		t.Errorf("what is forgotten: %+v", e)
	}
}

type fake = admintest.Registry

// sharer tells everybody the same changes, as a registry does those who read at the same
// pace.
type sharer struct {
	*fake
	changes []api.Change
}

// Follow is for admin.Watcher.
func (s *sharer) Follow(ctx context.Context, _ string, f func(bool, []api.Change) error) error {
	if err := f(false, s.changes); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// What several streams are told belongs to none of them. One that wrote into it would not be
// seen by what is sent, but by the list that is nil here, as it never is otherwise.
func TestStreamsShareWhatTheyAreTold(t *testing.T) {
	shared := []api.Change{{Revision: "1", Cluster: &api.Cluster{ID: "choir"}}}
	w := newWorld(t, admin.Config{Steward: &sharer{admintest.New(nil), shared}})
	for range 2 {
		if _, c := w.stream("/api/v1/events").change(); c.Cluster == nil || c.Cluster.ID != "choir" {
			t.Errorf("%+v", c)
		}
	}
	if shared[0].Cluster.Taken != nil {
		t.Error("a stream has written into what others read")
	}
}

// The server ends while streams and waits are open, at once and without an error.
func TestStreamsEndWithTheServer(t *testing.T) {
	w := newWorld(t, admin.Config{})
	r := w.stream("/api/v1/events")
	r.next()
	waiting := make(chan answer, 1)
	go func() { waiting <- w.get("/api/v1/clusters?wait=5m&since=" + w.registry.Registry().Revision) }()
	w.awaitStreams(2)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	for r.scanner.Scan() {
		if text := r.scanner.Text(); text != "" {
			t.Errorf("after the end: %q", text)
		}
	}
	if a := <-waiting; a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a wait ended with %s %s", a.Status, a.text)
	}
}

// awaitStreams returns when so many streams and waits are open.
func (w *world) awaitStreams(n int) {
	for w.Streams() != n {
		select {
		case <-w.t.Context().Done():
			w.t.Fatalf("%d streams, want %d", w.Streams(), n)
		default:
			w.get("/livez") // takes long enough
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t, admin.Config{Bounds: admin.Bounds{Streams: 2, Reserve: 1}})
	for range 2 {
		w.stream("/api/v1/events").next()
	}
	a := w.get("/api/v1/events")
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.text), "urn:xlreg:problem:busy") {
		t.Errorf("one too many: %s %s", a.Status, a.text)
	}
	w.stream("/api/v1/events", w.bearer()...).next()
}
