package adminclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

var errEnough = errors.New("enough")

func TestFollow(t *testing.T) {
	r, s := serve(t)
	c := dial(t, adminclient.Options{Socket: s.Socket})
	id := ""
	var told []string
	err := c.Follow(within(t, time.Minute), nil, func(restart bool, changes []api.Change) error {
		if restart {
			told = append(told, "restart")
			id = r.Create("web", 2)
			r.Join(id, "a", 0)
			return nil
		}
		for _, change := range changes {
			if change.Gone != "" {
				told = append(told, "gone "+change.Gone)
				return errEnough
			}
			told = append(told, fmt.Sprintf("%s %d", change.Cluster.Name, change.Cluster.Members))
			r.Vanish(id)
		}
		return nil
	})
	want := []string{"restart", "web 1", "gone " + id}
	if !errors.Is(err, errEnough) || strings.Join(told, ",") != strings.Join(want, ",") {
		t.Errorf("told %q, %v", told, err)
	}
}

// A stream that is cut off goes on where it was, and one that never was is not waited for.
func TestFollowAgain(t *testing.T) {
	var ids []string
	parts := []string{
		"retry: 1\n\nevent: restart\ndata: {}\n\nid: r1\nevent: change\ndata: {\"revision\":\"r1\",\ndata: \"gone\":\"a\"}\n\n: sign of life\n\nid: r2\nevent: change\ndata: {\"rev",
		"event: later\ndata: x\n\nid: r2\r\nevent: change\r\ndata: {\"gone\":\"b\"}\r\n\r\n",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids = append(ids, r.Header.Get("Last-Event-ID"))
		if len(ids) == 2 { // as a proxy in between may, for a while
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"type":"urn:xlreg:problem:busy","status":503,"detail":"busy"}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, parts[min(len(ids)-1, 1)])
	}))
	defer server.Close()
	c := dial(t, adminclient.Options{URL: server.URL})
	var lost []error
	var told []string
	err := c.Follow(within(t, time.Minute), func(err error) { lost = append(lost, err) }, func(restart bool, changes []api.Change) error {
		for _, change := range changes {
			told = append(told, change.Gone)
		}
		if len(told) == 2 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || strings.Join(told, ",") != "a,b" || strings.Join(ids, ",") != ",r1,r1" {
		t.Errorf("told %q with IDs %q: %v", told, ids, err)
	}
	if len(lost) != 2 || !errors.Is(lost[0], adminclient.ErrBroken) || !errors.Is(lost[1], api.ErrUnavailable) {
		t.Errorf("lost %v", lost)
	}
	nobody := dial(t, adminclient.Options{Socket: t.TempDir() + "/s"})
	if err := nobody.Follow(t.Context(), nil, nil); !errors.Is(err, adminclient.ErrNotServed) {
		t.Errorf("nobody there: %v", err)
	}
}

// An event without an end, and one that is no JSON, are the end.
func TestFollowNonsense(t *testing.T) {
	for name, text := range map[string]string{
		"endless":   "data: " + strings.Repeat("x", 5<<20),
		"many data": strings.Repeat("data: "+strings.Repeat("x", 1<<10)+"\n", 5<<10),
		"no JSON":   "event: change\ndata: x\n\n",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, text)
		}))
		c := dial(t, adminclient.Options{URL: server.URL})
		err := c.Follow(within(t, time.Minute), nil, func(bool, []api.Change) error { return nil })
		if !errors.Is(err, adminclient.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
		server.Close()
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	_, s := serve(t)
	c := dial(t, adminclient.Options{Socket: s.Socket})
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Follow(ctx, nil, func(bool, []api.Change) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
