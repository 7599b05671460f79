package databasetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

func announceCases() []testCase {
	return []testCase{
		{"Announce", testAnnounce},
		{"AnnounceOutlivesNobody", testAnnounceOutlivesNobody},
	}
}

func closeCases() []testCase {
	return []testCase{
		{"Close", testClose},
		{"CloseEndsFollow", testCloseEndsFollow},
	}
}

// announce announces until the returned function is called, which returns when that is
// over.
func announce(t *testing.T, db mirror.Database, key, value string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- db.Announce(ctx, key, []byte(value)) }()
	return func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("Announce: %v", err)
			}
		case <-time.After(patience):
			t.Error("Announce does not end")
		}
	}
}

// event waits for news of one key.
func (h *heard) event(t *testing.T, key string) mirror.Event {
	t.Helper()
	for {
		for _, e := range h.next(t).Events {
			if e.Key == key {
				return e
			}
		}
	}
}

// What is announced is a key like any other as long as it is.
func testAnnounce(t *testing.T, s Space) {
	one, two := s.connect(t), s.connect(t)
	h, _ := follow(t, two)
	end := announce(t, one, "servers/1", "here")
	e := h.event(t, "servers/1")
	if string(e.Value) != "here" || !e.Created {
		t.Errorf("told: %s", showEvents([]mirror.Event{e}))
	}
	if a := commit(t, two, mirror.Txn{Keys: keyReads(map[string]int64{"servers/1": e.Version})}); !a.Held {
		t.Errorf("it is not there: %+v", a)
	}
	end()
	if e := h.event(t, "servers/1"); e.Value != nil {
		t.Errorf("told: %s", showEvents([]mirror.Event{e}))
	}
	if a := commit(t, two, mirror.Txn{Keys: keyReads(map[string]int64{"servers/1": 0})}); !a.Held {
		t.Errorf("it is still there: %+v", a)
	}
}

// What a server has announced that ended without a word goes away, and not what another
// one keeps announcing.
func testAnnounceOutlivesNobody(t *testing.T, s Space) {
	if s.TTL == 0 {
		t.Skip("this database has no server that ends without a word")
	}
	one, two := s.Connect(t), s.connect(t)
	h, _ := follow(t, two)
	endOne := announce(t, one, "servers/1", "gone")
	h.event(t, "servers/1")
	endTwo := announce(t, two, "servers/2", "stays")
	defer endTwo()
	kept := h.event(t, "servers/2")
	begin := time.Now()
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	endOne()
	for {
		n := h.next(t)
		for _, e := range n.Events {
			if e.Key == "servers/2" || e.Value != nil {
				t.Errorf("told: %s", showEvents(n.Events))
			}
		}
		if len(n.Events) > 0 {
			break
		}
		if time.Since(begin) > s.TTL+patience {
			t.Fatal("it is still announced")
		}
	}
	a := commit(t, two, mirror.Txn{Keys: keyReads(map[string]int64{"servers/1": 0, "servers/2": kept.Version})})
	if !a.Held {
		t.Errorf("got %+v", a)
	}
}

func testClose(t *testing.T, s Space) {
	db := s.Connect(t)
	put(t, db, "a", "1")
	for range 2 {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := db.Commit(t.Context(), mirror.Txn{Changes: puts("a", "2")}); err == nil || errors.Is(err, store.ErrUnknown) {
		t.Errorf("Commit after Close: %v", err)
	}
	if err := db.Follow(t.Context(), func(mirror.News) {}); err == nil {
		t.Error("Follow after Close: no error")
	}
	if a := commit(t, s.connect(t), mirror.Txn{Keys: keyReads(map[string]int64{"a": 0})}); string(a.Keys[0].Value) != "1" {
		t.Errorf("got %+v", a)
	}
}

func testCloseEndsFollow(t *testing.T, s Space) {
	db := s.connect(t)
	h, _ := follow(t, db)
	begin := time.Now()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err := h.end(t); err == nil {
		t.Error("Follow ends without an error, though its context has not ended")
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("Close took %v", took)
	}
}
