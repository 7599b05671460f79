//go:build linux

package interop_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/freeport"
)

// testComeAgain has members that have a seat by one server come again by another.
func testComeAgain(t *testing.T, all []language, f *fleet) {
	for i, l := range all {
		t.Run("twin-"+l.name, func(t *testing.T) {
			t.Parallel()
			testTwin(t, comers(t, all[i:i+1], 2, "2.0"), f)
		})
	}
	t.Run("fresh", func(t *testing.T) {
		t.Parallel()
		testFreshStart(t, comers(t, all, 1, "2.0"), f)
	})
}

// testTwin has a copy of a member that lives be refused, whichever server it comes to. The
// next start of one that died is not, at once and at another server; and who says so takes
// the seat, which the other one is told.
func testTwin(t *testing.T, who []comer, f *fleet) {
	me, other, cluster := who[0], who[1], "twin-"+who[0].l.name
	twin := me
	twin.name, twin.dir = me.name+"-twin", filepath.Join(t.TempDir(), "node")
	twin.endpoint = freeport.Addresses(t, 1)[0]
	if err := os.CopyFS(twin.dir, os.DirFS(me.dir)); err != nil {
		t.Fatal(err)
	}
	private(t, twin.dir)
	stay := []string{"--lease", lease.String(), "--", "sh", "-c", "echo started; exec cat"}

	first := me.join(t, f.only[0], cluster, 2, stay...)
	until(t, "the first comes", func() bool { return slices.Equal(f.members(cluster), []string{me.name}) })
	refused := twin.join(t, f.cred, cluster, 2, stay...)
	if err := refused.result(); err == nil || !strings.Contains(err.Error(), "another process runs as this node") {
		t.Errorf("a twin of one that lives: %v, %q", err, refused.said())
	}

	first.die()
	second := me.join(t, f.only[1], cluster, 2, stay...)
	until(t, "the next start is alive", func() bool { return isAlive(t, second) && len(f.members(cluster)) == 1 })
	last := other.join(t, f.only[2], cluster, 2, stay...)
	until(t, "both start", func() bool { return hasStarted(t, second) && hasStarted(t, last) })

	third := twin.join(t, f.only[2], cluster, 2, append([]string{"--take-over"}, stay...)...)
	until(t, "who takes over starts", func() bool { return hasStarted(t, third) })
	if err := second.result(); err == nil || !strings.Contains(err.Error(), "another process runs as this node") {
		t.Errorf("whose seat was taken over: %v", err)
	}
}

func isAlive(t *testing.T, p *program) bool {
	t.Helper()
	select {
	case <-p.exited:
		t.Fatalf("%s has ended: %v: %s", p.name, p.err, p.complained())
	default:
	}
	return true
}

func hasStarted(t *testing.T, p *program) bool {
	t.Helper()
	return isAlive(t, p) && slices.Contains(p.said(), "started")
}

// testFreshStart has all members of a cluster restart, each at another server than before.
func testFreshStart(t *testing.T, who []comer, f *fleet) {
	var sums []string
	for round := range 2 {
		var members []*program
		for i := range who {
			members = append(members, who[i].join(t, f.only[(i+round)%servers], "fresh", len(who), "--fresh"))
		}
		sameRosters(t, members)
		sums = append(sums, members[0].roster().State.Sum)
	}
	if sums[0] == "" || sums[0] == sums[1] {
		t.Errorf("the sums of two starts are %q", sums)
	}
}
