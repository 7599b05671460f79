package admincmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// watch runs --watch, and returns what it writes. It ends with the test.
func (s *side) watch(f *filter, output string) *bufio.Reader {
	s.t.Helper()
	c, err := adminclient.New(adminclient.Options{Socket: s.Socket})
	if err != nil {
		s.t.Fatal(err)
	}
	out, to := io.Pipe()
	a := &admin{Globals: &cli.Globals{Console: &cli.Console{Out: to, Err: io.Discard}, Output: output}}
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- newWatcher(a, f, c).run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		to.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, io.ErrClosedPipe) {
			s.t.Errorf("watch ended with %v", err)
		}
		c.Close()
	})
	return bufio.NewReader(out)
}

// line returns what a line says, without its time.
func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(strings.TrimSpace(text), "  ")
	return rest
}

func newFilter() *filter { return &filter{part: part{limit: 10}, order: string(api.OrderNewest)} }

func TestWatchTellsChanges(t *testing.T) {
	s := serve(t)
	web := s.Create("web", 3)
	out := s.watch(newFilter(), "table")
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, web[:12] + "  empty    web  0/3  missing 0-2"},
		{func() { s.Join(web, "a", 0) }, web[:12] + "  forming  web  1/3  missing 1-2"},
		{func() { s.Vanish(web) }, web[:12] + "  deleted"},
	} {
		step.do()
		if got := line(t, out); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
}

// Of clusters that a filter leaves out nothing is told, but that they are left out from
// now on.
func TestWatchFilters(t *testing.T) {
	s := serve(t)
	f := newFilter()
	f.match, f.state = "web", string(api.StateForming)
	out := s.watch(f, "json")
	other := s.Create("other", 2)
	s.Join(other, "a", 0)
	web := s.Create("web", 2)
	s.Join(web, "a", 0)
	var told []string
	next := func() {
		text, err := out.ReadBytes('\n')
		var change api.Change
		if err = errors.Join(err, json.Unmarshal(text, &change)); err != nil {
			t.Fatal(err)
		}
		told = append(told, change.Cluster.Name+" "+string(change.Cluster.State))
	}
	next()
	s.Join(web, "b", 0)
	next()
	if got := strings.Join(told, ", "); got != "web forming, web full" {
		t.Errorf("told %q", got)
	}
}

// After history was lost only what is different is told.
func TestWatchRestarts(t *testing.T) {
	s := serve(t)
	web := s.Create("web", 3)
	out := s.watch(newFilter(), "table")
	line(t, out)
	s.ForgetHistory()
	s.Join(web, "a", 0)
	if got := line(t, out); !strings.Contains(got, "1/3") {
		t.Errorf("got %q", got)
	}
	s.Join(web, "b", 0)
	if got := line(t, out); !strings.Contains(got, "2/3") {
		t.Errorf("got %q", got)
	}
}
