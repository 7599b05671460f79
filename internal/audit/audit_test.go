package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 5e6, time.UTC)

func open(t *testing.T, path string) (l *Log, said *bytes.Buffer) {
	t.Helper()
	said = new(bytes.Buffer)
	l, err := Open(path, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, said
}

// lines reads a log, each line of which has to be an object with a time and an event.
func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for _, row := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		var l map[string]any
		if err := json.Unmarshal([]byte(row), &l); err != nil || l["event"] == "" || l["time"] == "" {
			t.Fatalf("line %q: %v", row, err)
		}
		all = append(all, l)
	}
	return all
}

func TestLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, _ := open(t, path)
	id, err := xlreg.ClusterIDFromBytes(bytes.Repeat([]byte{1}, xlreg.LongIDLen))
	if err != nil {
		t.Fatal(err)
	}
	c := xlreg.Cluster{ID: id, Name: "db", MaxSize: 3}
	l.Observe(registry.Event{
		Kind: registry.EventJoined, Time: noon, Cluster: c, Epoch: 1, Revision: 4, Members: 2, Member: "a", Index: 0,
		By: registry.Actor{From: "192.0.2.1:4000", Protocol: xlreg.Protocol20},
	})
	l.Observe(registry.Event{Kind: registry.EventFormed, Time: noon, Cluster: c, Members: 3, Took: 1500 * time.Microsecond})
	l.Observe(registry.Event{Kind: registry.EventRefused, Time: noon, Request: "Join", Err: fmt.Errorf("%w: %w", xlreg.ErrTryLater, errors.New("the secret cause"))})
	l.Admin(Change{Time: noon, Admin: "local", What: "log_level", Detail: "debug\n{}"})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-11-26T12:00:00.005Z","event":"joined","by":{"from":"192.0.2.1:4000","protocol":"2.0"},"cluster":"db","cluster_id":"` +
		strings.Repeat("01", 32) + `","size":3,"epoch":1,"revision":4,"members":2,"member":"a","index":0}
{"time":"2026-11-26T12:00:00.005Z","event":"formed","cluster":"db","cluster_id":"` + strings.Repeat("01", 32) + `","size":3,"members":3,"took_ms":1.5}
{"time":"2026-11-26T12:00:00.005Z","event":"refused","request":"Join","error":"try again later"}
{"time":"2026-11-26T12:00:00.005Z","event":"admin","by":{"admin":"local"},"what":"log_level","detail":"debug\n{}"}
`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// Many who write at once, while the file is moved away under them, lose and mix no lines.
func TestReopen(t *testing.T) {
	const writers, each, moves = 8, 200, 5
	path := filepath.Join(t.TempDir(), "audit.log")
	l, _ := open(t, path)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				l.Admin(Change{Time: noon, What: "test", Detail: fmt.Sprint(w, " ", i)})
			}
		})
	}
	for i := range moves {
		if err := os.Rename(path, fmt.Sprint(path, i)); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	l.Admin(Change{Time: noon, What: "test", Detail: "last"})
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	l.Admin(Change{Time: noon, What: "test", Detail: "after the end"})
	if err := l.Reopen(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[any]int)
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() == 0 {
			continue
		}
		for _, l := range lines(t, f) {
			seen[l["detail"]]++
		}
	}
	if len(seen) != writers*each+1 {
		t.Errorf("%d lines in %d files, want %d", len(seen), len(files), writers*each+1)
	}
	for detail, n := range seen {
		if n != 1 {
			t.Errorf("%v is there %d times", detail, n)
		}
	}
}

// A path that cannot be opened any more leaves the old file in use.
func TestReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, filepath.Join(dir, "audit.log"))
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reopen: %v", err)
	}
	l.Admin(Change{Time: noon, What: "test"})
	if n := len(lines(t, filepath.Join(moved, "audit.log"))); n != 1 {
		t.Errorf("%d lines", n)
	}
	if _, err := Open(moved, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a directory was opened")
	}
}

// However many requests are refused, the file stays small, and tells how many there were.
func TestRefusalsAreBounded(t *testing.T) {
	const n = 5 * refusalsAtOnce
	path := filepath.Join(t.TempDir(), "audit.log")
	l, _ := open(t, path)
	for range n {
		l.Observe(registry.Event{Kind: registry.EventRefused, Time: noon, Request: "Join", Err: xlreg.ErrClusterFull})
	}
	l.Observe(registry.Event{Kind: registry.EventLapsed, Time: noon})
	l.refusals.SetBurst(n) // as after a quiet hour
	l.refusals.SetLimit(rate.Inf)
	l.Observe(registry.Event{Kind: registry.EventRefused, Time: noon, Request: "Join", Err: xlreg.ErrClusterFull})
	all := lines(t, path)
	if len(all) > n/2 || all[len(all)-2]["event"] != "lapsed" {
		t.Errorf("%d lines, the last but one is %v", len(all), all[len(all)-2])
	}
	told := 0
	for _, row := range all {
		if row["event"] == "refused" {
			omitted, _ := row["omitted"].(float64)
			told += 1 + int(omitted)
		}
	}
	if told != n+1 {
		t.Errorf("%d refusals are told of, want %d", told, n+1)
	}
}
