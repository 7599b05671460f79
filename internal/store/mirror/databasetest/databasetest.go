// Package databasetest is the suite that every mirror.Database passes, by itself and
// before anything stands on it: what it compares, what it answers, what it tells those
// who follow it, and that all servers see the same.
package databasetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// Space is one space of keys, empty at first.
type Space struct {
	// Connect returns the connection of one more server. The suite closes it.
	Connect func(t *testing.T) mirror.Database
	// TTL is how long an announcement outlives a server that has not taken it back. If it
	// is 0 such servers are not tested.
	TTL time.Duration
}

// Run holds the databases that open makes against the contract of mirror.Database.
func Run(t *testing.T, open func(t *testing.T) Space) {
	for _, cases := range [][]testCase{commitCases(), rangeCases(), followCases(), concurrentCases(), announceCases(), closeCases()} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
		}
	}
}

type testCase struct {
	name string
	run  func(*testing.T, Space)
}

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// connect returns a connection that is closed after the test.
func (s *Space) connect(t *testing.T) mirror.Database {
	t.Helper()
	db := s.Connect(t)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

// commit is a Txn that must not fail.
func commit(t *testing.T, db mirror.Database, txn mirror.Txn) mirror.Answer {
	t.Helper()
	a, err := db.Commit(t.Context(), txn)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return a
}

// put changes keys to values, given in pairs, and returns the revision.
func put(t *testing.T, db mirror.Database, pairs ...string) int64 {
	t.Helper()
	a := commit(t, db, mirror.Txn{Changes: puts(pairs...)})
	if !a.Held || a.Revision == 0 {
		t.Fatalf("put: got %+v", a)
	}
	return a.Revision
}

func puts(pairs ...string) []store.Change {
	var changes []store.Change
	for pair := range slices.Chunk(pairs, 2) {
		changes = append(changes, store.Change{Key: pair[0], Value: []byte(pair[1])})
	}
	return changes
}

func removes(keys ...string) []store.Change {
	changes := make([]store.Change, len(keys))
	for i, key := range keys {
		changes[i].Key = key
	}
	return changes
}

func keyReads(versions map[string]int64) []mirror.KeyRead {
	var reads []mirror.KeyRead
	for key, version := range versions {
		reads = append(reads, mirror.KeyRead{Key: key, Version: version})
	}
	return reads
}

// show returns records as text, in the order of their keys.
func show(records []mirror.Record) string {
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = fmt.Sprintf("%q=%q@%d", r.Key, r.Value, r.Version)
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

func line(key, value string, version int64) string {
	return show([]mirror.Record{{Key: key, Value: []byte(value), Version: version}})
}

// state returns all that begins with a prefix and is longer, in order.
func state(t *testing.T, db mirror.Database, prefix string) []mirror.Record {
	t.Helper()
	a := commit(t, db, mirror.Txn{
		Keys:   []mirror.KeyRead{{Key: prefix, Version: mirror.Unknown}},
		Ranges: []mirror.RangeRead{{Prefix: prefix}},
	})
	if a.Held {
		t.Fatal("a comparison with an unknown version held")
	}
	return a.Ranges[0]
}

// heard is what a Follow tells.
type heard struct {
	news   chan mirror.News
	ended  chan error // what Follow returned
	cancel context.CancelFunc
}

// follow begins to follow, and returns when nothing is missed any more.
func follow(t *testing.T, db mirror.Database) (*heard, mirror.News) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := &heard{news: make(chan mirror.News, 1<<16), ended: make(chan error, 1), cancel: cancel}
	go func() { h.ended <- db.Follow(ctx, func(n mirror.News) { h.news <- n }) }()
	t.Cleanup(func() {
		cancel()
		_ = h.end(t) // it says so itself if it does not
	})
	first := h.next(t)
	if len(first.Events) != 0 {
		t.Errorf("the first news has events: %+v", first)
	}
	return h, first
}

func (h *heard) next(t *testing.T) mirror.News {
	t.Helper()
	select {
	case n := <-h.news:
		return n
	case err := <-h.ended:
		h.ended <- err
		t.Fatalf("Follow ended: %v", err)
	case <-time.After(patience):
		t.Fatal("Follow says nothing")
	}
	panic("not reached")
}

// until returns the events up to a revision.
func (h *heard) until(t *testing.T, revision int64) []mirror.Event {
	t.Helper()
	var events []mirror.Event
	for {
		n := h.next(t)
		events = append(events, n.Events...)
		if n.Revision >= revision {
			return events
		}
	}
}

// end returns what Follow returned, once it has.
func (h *heard) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-h.ended:
		h.ended <- err
		return err
	case <-time.After(patience):
		t.Error("Follow does not end")
		return errors.New("it does not end")
	}
}

func showEvents(events []mirror.Event) string {
	lines := make([]string, len(events))
	for i, e := range events {
		value := "-"
		if e.Value != nil {
			value = fmt.Sprintf("%q", e.Value)
		}
		lines[i] = fmt.Sprintf("%q=%s@%d", e.Key, value, e.Version)
		if e.Created {
			lines[i] += "!"
		}
	}
	return strings.Join(lines, " ")
}
