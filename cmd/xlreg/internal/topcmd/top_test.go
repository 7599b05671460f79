package topcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// made returns a cluster that was created some seconds after the start.
func made(id string, size, after int, taken ...int) api.Cluster {
	at := start.Add(time.Duration(after) * time.Second)
	c := api.Cluster{ID: id, Name: "c-" + id, Size: size, Members: len(taken), Taken: taken, State: api.StateForming, Created: &at}
	if len(taken) == size {
		c.State = api.StateFull
	}
	return c
}

// filled returns a model with clusters in it.
func filled() *model {
	m := newModel(true)
	used := int64(95)
	m.take(&seen{
		wish: m.wish(), listed: true,
		registry: api.Registry{
			Name: "reg", Ready: true, Started: start, Version: "1", Clusters: 3,
			ByState:    map[api.State]int{api.StateForming: 2, api.StateFull: 1},
			Formations: []api.Formation{{Sizes: "3-5", Bounds: []int64{100, 1000}, Counts: []uint64{1, 3, 0}, Count: 4, Seconds: 2}},
		},
		limits: []api.Limit{
			{Name: "max-nodes", Value: 100, Used: &used, By: "10.0.0.1"},
			{Name: "max-clusters", Value: 100, Refused: 7},
			{Name: "max-other", Value: 100},
		},
		clusters: api.Page[api.Cluster]{Items: []api.Cluster{made("b", 3, 2, 0), made("a", 5, 1, 1, 3)}},
	}, start)
	return m
}

func text(m *model, width, height int) string {
	return unstyled(strings.Join(m.lines(width, height, start.Add(10*time.Second)), "\n"))
}

func TestPage(t *testing.T) {
	want := `reg  ready  up 10s, 1,                                                  03:04:15
3 clusters: 2 forming, 1 full, 0 reduced, 0 empty
0 nodes, 0 sessions, 0 waiting, 0 bytes, 0.0 changes/s, 0.0 formed/s
  of 3-5      4 formed       half within 1.0s     99 % within 1.0s      -@ 
  limit max-nodes                      ########## 95/100 by 10.0.0.1
  limit max-clusters                    refused 7

forming clusters: 2, newest first
  NAME                     SEATS             MEMBERS    MISSING       AGE
> c-b                      #..               1/3        1-2           8.0s
  c-a                      .#.#.             2/5        0,2,4         9.0s

q quit  j/k move  enter open  / find  t which clusters  s sort`
	got := text(filled(), 80, 13)
	if strings.TrimRight(got, " ") != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// No line is longer than the terminal is wide once it is cut, and there are never more
// lines than fit, whatever the size.
func TestPageFits(t *testing.T) {
	m := filled()
	for i := range 100 {
		m.change([]api.Change{{Cluster: ptr(made(fmt.Sprint("x", i), 64, i))}}, start)
	}
	m.trouble = errors.New(strings.Repeat("trouble ", 50))
	for _, open := range []bool{false, true} {
		if m.open = open; open {
			m.detail = &api.ClusterDetail{Cluster: made("a", 64, 1), Seats: make([]api.Member, 64)}
		}
		for width := 1; width < 200; width += 7 {
			for height := 1; height < 60; height += 3 {
				lines := m.lines(width, height, start)
				if len(lines) != height {
					t.Fatalf("%dx%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					if n := utf8.RuneCountInString(unstyled(cli.CutStyled(line, width))); n > width {
						t.Fatalf("%dx%d: %d columns: %q", width, height, n, line)
					}
				}
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

// The selected row is on the screen, however far down it is.
func TestSelectedRowIsSeen(t *testing.T) {
	m := newModel(true)
	for i := range 100 {
		m.change([]api.Change{{Cluster: ptr(made(fmt.Sprint(i), 3, i))}}, start)
	}
	for _, keys := range []string{"G", "Gk", "g", "gjjj", "Gg"} {
		for _, k := range keys {
			m.press(cli.Key(k))
		}
		if got := text(m, 80, 15); strings.Count(got, "\n> c-") != 1 {
			t.Errorf("after %s:\n%s", keys, got)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []cli.Key
		quit bool
		has  string
	}{
		{"down", []cli.Key{"j"}, false, "> c-a"},
		{"no further", []cli.Key{"j", "j", cli.KeyDown, cli.KeyPageDown}, false, "> c-a"},
		{"and up", []cli.Key{"j", cli.KeyUp, "k"}, false, "> c-b"},
		{"by name", []cli.Key{"s"}, false, "by name"},
		{"most missing first", []cli.Key{"s", "s", "g"}, false, "> c-a"},
		{"round", []cli.Key{"s", "s", "s"}, false, "newest first"},
		{"full ones", []cli.Key{"t"}, false, "full clusters: 0"},
		{"round", []cli.Key{"t", "t", "t", "t", "t"}, false, "forming clusters"},
		{"find", []cli.Key{"/", "q", "x", cli.KeyBackspace}, false, "find: q_"},
		{"found", []cli.Key{"/", "q", cli.KeyEnter}, false, "with q"},
		{"not found", []cli.Key{"/", "q", cli.KeyEscape}, false, "newest first\n"},
		{"open", []cli.Key{cli.KeyEnter}, false, "escape back"},
		{"back", []cli.Key{cli.KeyEnter, cli.KeyEscape}, false, "> c-b"},
		{"quit", []cli.Key{"q"}, true, ""},
		{"quit", []cli.Key{cli.KeyEnter, "q"}, true, ""},
		{"interrupt", []cli.Key{"/", cli.KeyInterrupt}, true, ""},
	} {
		m, quit := filled(), false
		for _, k := range c.keys {
			quit = m.press(k)
		}
		if got := text(m, 80, 24); quit != c.quit || !strings.Contains(got, c.has) {
			t.Errorf("%s: quit %v\n%s", c.name, quit, got)
		}
	}
}

func TestChangesOfTheList(t *testing.T) {
	m := filled()
	names := func() string {
		var all []string
		for i := range m.rows {
			all = append(all, m.rows[i].ID)
		}
		return strings.Join(all, " ")
	}
	m.press("j") // to a
	for _, step := range []struct {
		change api.Change
		want   string
	}{
		{api.Change{Cluster: ptr(made("c", 2, 3, 0))}, "c b a"},
		{api.Change{Cluster: ptr(made("b", 3, 2, 0, 1))}, "c b a"},
		{api.Change{Cluster: ptr(made("b", 3, 2, 0, 1, 2))}, "c a"},
		{api.Change{Cluster: ptr(made("d", 1, 4, 0))}, "c a"},
		{api.Change{Gone: "c"}, "a"},
		{api.Change{Gone: "unknown"}, "a"},
	} {
		m.change([]api.Change{step.change}, start)
		if got := names(); got != step.want || m.rows[m.row()].ID != "a" {
			t.Errorf("%+v: %q, selected %d", step.change, got, m.row())
		}
	}
	for i := range 2 * maxRows {
		m.change([]api.Change{{Cluster: ptr(made(fmt.Sprint("x", i), 2, 10+i))}}, start)
	}
	if len(m.rows) != maxRows {
		t.Errorf("%d rows", len(m.rows))
	}
}

// What was asked for before something else was wanted is left alone.
func TestLateAnswers(t *testing.T) {
	m := filled()
	old := m.wish()
	m.press("t")
	m.take(&seen{wish: old, listed: true, clusters: api.Page[api.Cluster]{Items: []api.Cluster{made("z", 3, 1)}}}, start)
	if len(m.rows) != 0 {
		t.Errorf("rows %+v", m.rows)
	}
	m = filled()
	m.press(cli.KeyEnter)
	m.take(&seen{wish: wish{detail: "another"}, detail: &api.ClusterDetail{}}, start)
	if m.detail != nil {
		t.Error("another cluster is shown")
	}
}

func TestMeter(t *testing.T) {
	var m meter
	if m.rate(start) != 0 {
		t.Error("nothing has happened")
	}
	for i := range 100 {
		m.count(start.Add(time.Duration(i)*time.Second), uint64(1000+5*i))
	}
	if got := m.rate(start.Add(99 * time.Second)); got < 4.9 || got > 5.1 || len(m.samples) > 15 {
		t.Errorf("%v a second, %d samples", got, len(m.samples))
	}
	if got := m.rate(start.Add(200 * time.Second)); got != 0 {
		t.Errorf("%v a second long afterwards", got)
	}
	m.count(start.Add(300*time.Second), 3) // it was started again
	if got := m.rate(start.Add(301 * time.Second)); got != 0 {
		t.Errorf("%v a second after a new start", got)
	}
	var fast meter
	for i := range 100_000 {
		fast.add(start.Add(time.Duration(i)*time.Millisecond/10), 1)
	}
	if len(fast.samples) > 60 {
		t.Errorf("%d samples", len(fast.samples))
	}
}

// The feed brings what happens on a registry to the model.
func TestFeed(t *testing.T) {
	r := admintest.New(nil)
	s, err := admintest.Serve(admin.Config{Steward: r})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := adminclient.New(adminclient.Options{Socket: s.Socket})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f := newFeed(c, 10*time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- f.poll(ctx) }()
	go func() { ended <- f.follow(ctx) }()
	defer func() { stop(); <-ended; <-ended }()
	m := newModel(true)
	until := func(what string, is func() bool) {
		t.Helper()
		timeout := time.After(time.Minute)
		for !is() {
			select {
			case u := <-f.updates:
				u(m)
				f.want(m.wish())
			case <-timeout:
				t.Fatalf("%s: %s", what, text(m, 80, 24))
			}
		}
	}
	id := r.Create("web", 3)
	r.Join(id, "a", 0)
	until("it forms", func() bool { return len(m.rows) == 1 && m.rows[0].Members == 1 })
	m.press(cli.KeyEnter)
	f.want(m.wish())
	until("it is open", func() bool { return m.detail != nil && len(m.detail.Seats) == 1 })
	r.Vanish(id)
	until("it is gone", func() bool { return m.gone && len(m.rows) == 0 })
	if got := text(m, 80, 24); !strings.Contains(got, "no more") {
		t.Error(got)
	}
	r.Fail(errors.New("broken"))
	until("there is trouble", func() bool { return m.trouble != nil })
	r.Fail(nil)
	until("there is none", func() bool { return m.trouble == nil })
}

func TestNothingSteersTheTerminal(t *testing.T) {
	m := filled()
	m.rows[0].Name = "\033[2Jx\a"
	m.registry.Name = "\033]0;x\a"
	for _, line := range m.lines(80, 24, start) {
		if rest := unstyled(line); strings.ContainsAny(rest, "\a\033") || strings.Contains(line, "\033[2J") || strings.Contains(line, "\033]") {
			t.Errorf("%q", line)
		}
	}
}
