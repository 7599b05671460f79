package mirror_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
	"github.com/xlattice/xlreg/internal/store/storetest"
)

// The test binary runs itself with the name of a broken database here.
const childDatabase = "XLREG_TEST_MIRROR_DATABASE"

// mistake is what a database does wrong, and the case of the suite that must notice.
type mistake struct {
	fails string
	wrap  func(*mirrortest.Database, *mirrortest.Server) mirror.Database
	cache int // bytes; a small one is filled by answers again and again
}

func mistakes() map[string]mistake {
	return map[string]mistake{
		"reads of some time ago":          {fails: "SharedSeen", wrap: staleReads},
		"no guard":                        {fails: "SharedRosters", wrap: noGuards},
		"ranges are not compared":         {fails: "SkewOfReplaced", wrap: noRanges},
		"nothing is counted":              {fails: "SharedGone", wrap: noCounts},
		"an answer passes for a new one":  {fails: "SharedRosters", wrap: lateAnswers, cache: 300},
		"run again after unknown outcome": {fails: "SharedUnique", wrap: runAgain},
	}
}

// Each of the mistakes that a database can make is noticed. So that its failure is
// none of this test's, each runs in a process of its own.
func TestBrokenDatabases(t *testing.T) {
	all := mistakes()
	if name := os.Getenv(childDatabase); name != "" {
		storetest.RunShared(t, func(*testing.T) storetest.Shared { return sharedOn(all[name]) })
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range all {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestBrokenDatabases$/^"+b.fails+"$", "-test.count=20", "-test.failfast", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), childDatabase+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBrokenDatabases/"+b.fails) {
				t.Errorf("%s does not notice: %v\n%s", b.fails, err, out)
			}
		})
	}
}

// What breaks the broken databases is what was broken in them, and nothing else.
func TestSoundDatabase(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		return sharedOn(mistake{cache: 300, wrap: func(_ *mirrortest.Database, s *mirrortest.Server) mirror.Database {
			return changed{Database: s, commit: s.Commit}
		}})
	})
}

func sharedOn(m mistake) storetest.Shared {
	db := mirrortest.New()
	return func(*testing.T) store.Store {
		server := m.wrap(db, db.Connect(mirrortest.Faults{}))
		return mirror.Open(server, mirror.Options{Limits: limits, CacheBytes: m.cache})
	}
}

// changed is a database with another Commit.
type changed struct {
	mirror.Database
	commit func(ctx context.Context, t mirror.Txn) (mirror.Answer, error)
}

func (c changed) Commit(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
	return c.commit(ctx, t)
}

// staleReads holds a comparison without changes against what it has seen some time ago,
// as a member does that asks nobody and is a moment behind: it lets everything pass.
func staleReads(db *mirrortest.Database, _ *mirrortest.Server) mirror.Database {
	s := db.Connect(mirrortest.Faults{News: func(context.Context, *mirror.News) error {
		<-time.After(time.Millisecond)
		return nil
	}})
	return changed{s, func(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
		a, err := s.Commit(ctx, t)
		unknown := func(k mirror.KeyRead) bool { return k.Version == mirror.Unknown }
		if len(t.Changes) == 0 && !slices.ContainsFunc(t.Keys, unknown) {
			return mirror.Answer{Held: true, Revision: a.Revision}, err
		}
		return a, err
	}}
}

// noGuards compares no guard of what was scanned.
func noGuards(_ *mirrortest.Database, s *mirrortest.Server) mirror.Database {
	return changed{s, func(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
		if len(t.Changes) > 0 {
			t.Keys = slices.DeleteFunc(slices.Clone(t.Keys), func(k mirror.KeyRead) bool {
				return slices.ContainsFunc(t.Ranges, func(r mirror.RangeRead) bool { return r.Prefix == k.Key })
			})
		}
		return s.Commit(ctx, t)
	}}
}

// noRanges compares guards alone.
func noRanges(_ *mirrortest.Database, s *mirrortest.Server) mirror.Database {
	return changed{s, func(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
		if len(t.Changes) > 0 {
			t.Ranges = slices.Clone(t.Ranges)
			for i := range t.Ranges {
				t.Ranges[i].Revision = 1 << 60
			}
		}
		return s.Commit(ctx, t)
	}}
}

// noCounts does not notice what was removed without a guard.
func noCounts(_ *mirrortest.Database, s *mirrortest.Server) mirror.Database {
	return changed{s, func(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
		a, err := s.Commit(ctx, t)
		if err != nil || a.Held || len(t.Changes) > 0 {
			return a, err
		}
		again := t
		again.Ranges = slices.Clone(t.Ranges)
		for i := range again.Ranges {
			again.Ranges[i].Count = len(a.Ranges[i])
		}
		return s.Commit(ctx, again)
	}}
}

// lateAnswers brings what was read before some news, and says that it was read after.
// So it makes of a mirror one that fills its cache too late.
func lateAnswers(db *mirrortest.Database, s *mirrortest.Server) mirror.Database {
	return changed{s, func(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
		a, err := s.Commit(ctx, t)
		if err == nil && !a.Held {
			<-time.After(time.Millisecond)
			a.Revision = db.Revision()
		}
		return a, err
	}}
}

// runAgain loses every third answer, and sends the transaction once more.
func runAgain(_ *mirrortest.Database, s *mirrortest.Server) mirror.Database {
	var mu sync.Mutex
	n := 0
	return changed{s, func(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
		a, err := s.Commit(ctx, t)
		mu.Lock()
		defer mu.Unlock()
		if n++; err != nil || len(t.Changes) == 0 || n%3 != 0 {
			return a, err
		}
		return s.Commit(ctx, t) // which meets a conflict with itself, so that the closures run again
	}}
}
