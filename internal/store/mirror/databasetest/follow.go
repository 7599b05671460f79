package databasetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store/mirror"
)

func followCases() []testCase {
	return []testCase{
		{"FollowTells", testFollowTells},
		{"FollowBegins", testFollowBegins},
		{"Heartbeats", testHeartbeats},
		{"FollowEnds", testFollowEnds},
		{"TwoFollow", testTwoFollow},
	}
}

// Each change is told, by whichever server it was made.
func testFollowTells(t *testing.T, s Space) {
	db, other := s.connect(t), s.connect(t)
	put(t, db, "before", "v")
	h, _ := follow(t, db)
	r1 := put(t, other, "a", "1", "b", "1")
	want(t, h, r1, fmt.Sprintf(`"a"="1"@%d! "b"="1"@%d!`, r1, r1))
	r2 := put(t, db, "a", "2", "before", "w")
	want(t, h, r2, fmt.Sprintf(`"a"="2"@%d "before"="w"@%d`, r2, r2))
	r3 := commit(t, other, mirror.Txn{Changes: removes("a", "none")}).Revision
	want(t, h, r3, fmt.Sprintf(`"a"=-@%d`, r3))
	r4 := put(t, other, "a", "3")
	want(t, h, r4, fmt.Sprintf(`"a"="3"@%d!`, r4))
}

func want(t *testing.T, h *heard, revision int64, want string) {
	t.Helper()
	if got := showEvents(h.until(t, revision)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The first news is of a revision that nothing before is told of, and nothing after is
// missed.
func testFollowBegins(t *testing.T, s Space) {
	db := s.connect(t)
	before := put(t, db, "a", "1")
	h, first := follow(t, db)
	if first.Revision < before {
		t.Errorf("begins at %d, after %d", first.Revision, before)
	}
	after := put(t, db, "b", "1")
	want(t, h, after, fmt.Sprintf(`"b"="1"@%d!`, after))
}

// Who listens hears something in each Heartbeat, whether or not there is news.
func testHeartbeats(t *testing.T, s Space) {
	db := s.connect(t)
	h, _ := follow(t, db)
	const most = 2 * mirror.Heartbeat // the machine may be busy
	for range 4 {
		begin := time.Now()
		if n := h.next(t); len(n.Events) != 0 {
			t.Errorf("events of nothing: %s", showEvents(n.Events))
		}
		if took := time.Since(begin); took > most {
			t.Errorf("silent for %v", took)
		}
	}
}

func testFollowEnds(t *testing.T, s Space) {
	db := s.connect(t)
	h, _ := follow(t, db)
	h.cancel()
	if err := h.end(t); err != nil {
		t.Errorf("got %v", err)
	}
	put(t, db, "a", "1") // nothing else has ended
	follow(t, db)
}

func testTwoFollow(t *testing.T, s Space) {
	one, two := s.connect(t), s.connect(t)
	h1, _ := follow(t, one)
	h2, _ := follow(t, two)
	r := put(t, two, "a", "1")
	for _, h := range []*heard{h1, h2} {
		want(t, h, r, fmt.Sprintf(`"a"="1"@%d!`, r))
	}
}
