//go:build linux

package interop_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	lease = 5 * time.Second
	// left is how long the seat of a member lasts that died with its server: until the
	// store says that the server has gone, and then a whole lease.
	left = 30*time.Second + lease
)

// watched is one program in each language that watches a cluster.
type watched []*program

func watchAll(t *testing.T, all []language, cred, cluster string) (w watched) {
	t.Helper()
	for _, l := range all {
		w = append(w, launch(t, "watch-"+l.name, l.command, "--registry", cred, "get", cluster, "--watch"))
	}
	return w
}

// changes returns what a watcher has told, as in "+ m0": its lines begin with the time.
func changes(p *program) (told []string) {
	for _, line := range p.said() {
		if f := strings.Fields(line); len(f) > 2 && slices.Contains([]string{"+", "-", "~"}, f[1]) {
			told = append(told, f[1]+" "+f[2])
		}
	}
	return told
}

// want waits until all watchers have told so many changes.
func (w watched) want(t *testing.T, n int, what string) time.Duration {
	t.Helper()
	return until(t, what, func() bool {
		for _, p := range w {
			if len(changes(p)) < n {
				return false
			}
		}
		return true
	})
}

// testLeases has members in all languages keep leases while each server is killed once. A
// member that dies with a server loses its seat, and each watcher is told of each change
// once.
func testLeases(t *testing.T, all []language, f *fleet) {
	who := comers(t, all, 1, "2.0")
	doomed := comers(t, []language{{name: "doomed", command: all[0].command}}, 1, "2.0")[0]
	n := len(who) + 1
	stay := []string{"--lease", lease.String(), "--", "cat"} // which ends when the program is told to, or this test
	dies := doomed.join(t, f.only[0], "leases", n, stay...)  // at the first server, and at no other
	members := joinAll(t, who, f.cred, "leases", n, stay...)
	until(t, "all have come", func() bool { return f.full("leases", n) })
	watch := watchAll(t, all, f.cred, "leases")
	until(t, "all watch", func() bool { return !slices.ContainsFunc(watch, func(p *program) bool { return len(p.said()) < n }) })
	dies.die()
	began := time.Now()
	for i := range servers {
		f.kill(i)
		until(t, "all are elsewhere", func() bool { return f.others(i) >= len(members)+len(watch) })
		f.start(i)
	}
	watch.want(t, 1, "the member that died with its server goes")
	took := time.Since(began)
	t.Logf("the seat of the member that died with its server was free after %v", took.Round(time.Millisecond))
	if took > left+20*time.Second {
		t.Errorf("the seat of a member that died with its server was free after %v", took)
	}
	for i, p := range members {
		p.die()
		took := watch.want(t, 2+2*i, "a member whose program died goes")
		t.Logf("the seat of %s was free after %v", p.name, took.Round(time.Millisecond))
		if took > lease+20*time.Second { // a few tenths of a second more than the lease, where nothing else runs
			t.Errorf("the seat of %s was free after %v", p.name, took)
		}
		who[i].join(t, f.cred, "leases", n, stay...)
		watch.want(t, 3+2*i, "a member comes back")
	}
	for _, p := range watch {
		checkChanges(t, p, doomed.name, who)
	}
}

// checkChanges holds what a watcher has told against what has happened.
func checkChanges(t *testing.T, p *program, doomed string, who []comer) {
	t.Helper()
	want := []string{"- " + doomed}
	for i := range who {
		want = append(want, "- "+who[i].name, "+ "+who[i].name)
	}
	if got := changes(p); !slices.Equal(got, want) {
		t.Errorf("%s was told %q, want %q", p.name, got, want)
	}
}
