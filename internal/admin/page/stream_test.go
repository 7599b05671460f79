package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/page"
)

// event is one that a stream has sent.
type event struct {
	kind, id string
	Rows     []struct {
		Key    string            `json:"k"`
		Fields map[string]string `json:"f"`
	}
	Order []string
	News  string
	Say   string
}

// listener reads a stream as a browser does.
type listener struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
	stop   context.CancelFunc
}

func listen(t *testing.T, url, lastID string) *listener {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, answer: answer, lines: bufio.NewScanner(answer.Body), stop: stop}
	l.lines.Buffer(nil, 1<<20)
	t.Cleanup(l.close)
	return l
}

func (l *listener) close() {
	l.stop()
	l.answer.Body.Close()
}

// next returns the next event, or false at the end.
func (l *listener) next() (e event, ok bool) {
	l.t.Helper()
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				l.t.Fatal(err)
			}
		case "":
			if e.kind != "" {
				return e, true
			}
		}
	}
	return e, false
}

// until reads events until one has a row with a field of this value.
func (l *listener) until(key, field, value string) event {
	l.t.Helper()
	for {
		e, ok := l.next()
		if !ok {
			l.t.Fatalf("the stream ended before %s of %s was %q", field, key, value)
		}
		for _, r := range e.Rows {
			if r.Key == key && r.Fields[field] == value {
				return e
			}
		}
	}
}

func serveStream(t *testing.T, cfg page.Config) string {
	t.Helper()
	cfg.Logger = quiet
	return newServer(t, page.New(cfg)).URL
}

var quiet = slog.New(slog.DiscardHandler)

// newServer serves a handler until the test ends.
func newServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
	})
	return s
}

// drain reads until there is no more.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// The state comes first, then what changes, and each event's id is the revision to go on
// from.
func TestStateThenChanges(t *testing.T) {
	r := admintest.New(nil)
	id, other := r.Create("web", 3), r.Create("db", 3)
	base := serveStream(t, page.Config{Source: r})
	l := listen(t, base+"/events/clusters?match=web", "")
	first, ok := l.next()
	if !ok || first.kind != "state" || len(first.Rows) != 1 || first.Rows[0].Key != id || first.id == "" {
		t.Fatalf("first comes %+v", first)
	}
	r.Join(other, "nobody", 0)
	r.Join(id, "alice", 0)
	e := l.until(id, "members", "1 of 3")
	if e.News != "" {
		t.Errorf("a cluster that the list leaves out is news: %+v", e)
	}
	l.close()

	// A browser that comes back is spared what it has, and told what it has not.
	l = listen(t, base+"/events/clusters?match=web", e.id)
	if again, ok := l.next(); !ok || again.kind != "state" || len(again.Rows) > 0 {
		t.Errorf("with the newest revision comes %+v", again)
	}
	l.close()
	r.Join(id, "bob", 0)
	l = listen(t, base+"/events/clusters?match=web", e.id)
	l.until(id, "members", "2 of 3")
	l.close()
}

// A stream ends when the server stops, when its reader may read no more, and when its
// cluster has gone.
func TestEndsOfStreams(t *testing.T) {
	r := admintest.New(nil)
	id := r.Create("web", 3)
	done := make(chan struct{})
	base := serveStream(t, page.Config{Source: r, Done: done})
	l := listen(t, base+"/events/clusters/"+id, "")
	l.until("head", "members", "0 of 3")
	r.Vanish(id)
	for {
		e, ok := l.next()
		if !ok {
			t.Fatal("the stream ended without saying that the cluster has gone")
		}
		if e.kind == "gone" {
			break
		}
	}
	if _, ok := l.next(); ok {
		t.Error("the stream goes on after its cluster has gone")
	}
	l = listen(t, base+"/events/overview", "")
	if _, ok := l.next(); !ok {
		t.Fatal("no state")
	}
	close(done)
	for {
		if _, ok := l.next(); !ok {
			break
		}
	}
	if err := l.lines.Err(); err != nil {
		t.Errorf("the stream did not end, it was cut off: %v", err)
	}
}

// Streams are bounded, and one that ends makes room.
func TestStreamsAreBounded(t *testing.T) {
	base := serveStream(t, page.Config{Source: admintest.New(nil), Streams: 2})
	var open []*listener
	for range 2 {
		l := listen(t, base+"/events/limits", "")
		if _, ok := l.next(); !ok {
			t.Fatal("no state")
		}
		open = append(open, l)
	}
	l := listen(t, base+"/events/limits", "")
	if l.answer.StatusCode != http.StatusServiceUnavailable || l.answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", l.answer.Status)
	}
	open[0].close()
	for end := time.Now().Add(patience); ; {
		l := listen(t, base+"/events/limits", "")
		if l.answer.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the stream that ended makes no room")
		}
		l.close()
	}
}

// A cluster that forms takes the place of one that has been at rest, and no other.
func TestSlots(t *testing.T) {
	r := admintest.New(nil)
	for range 11 {
		r.Join(r.Create("forming", 3), "alice", 0)
	}
	full := r.Create("full", 2)
	r.Form(full)
	base := serveStream(t, page.Config{Source: r})
	l := listen(t, base+"/events/overview", "")
	e, ok := l.next()
	if !ok || len(e.Order) != 12 {
		t.Fatalf("first comes %+v", e)
	}
	where := ""
	for _, row := range e.Rows {
		if row.Fields["id"] == full {
			where = row.Key
		}
	}
	if where == "" {
		t.Fatalf("the full cluster has no slot: %v", e.Order)
	}
	for {
		// Once it has been at rest for long enough, the next change brings the new one in.
		id := r.Create("new", 3)
		r.Join(id, "bob", 0)
		e, ok := l.next()
		if !ok {
			t.Fatal("the stream ended before the new cluster was shown")
		}
		for _, row := range e.Rows {
			if row.Fields["name"] == "new" && row.Key != where {
				t.Fatalf("the new cluster is in %s, want %s", row.Key, where)
			}
			if row.Fields["name"] == "new" {
				return
			}
		}
	}
}
