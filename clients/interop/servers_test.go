//go:build linux

package interop_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/freeport"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

// TestServersOnEtcd has programs in all languages use three servers that are one registry
// on three members of etcd.
func TestServersOnEtcd(t *testing.T) {
	all := languages(t)
	store := etcdtest.Start(t, etcdtest.Options{Members: servers})
	var places []string
	for i := range servers {
		places = append(places, store.Member(i).Endpoint())
	}
	start := func(t *testing.T, prefix string) *fleet {
		t.Helper()
		return startFleet(t, places, func(addr string) string { return "etcd://" + addr + "/" + prefix })
	}
	first := start(t, "first")
	t.Run("form", func(t *testing.T) { testFormation(t, all, first) })
	t.Run("lose servers", func(t *testing.T) { testLostServers(t, all, first) })
	t.Run("owner", func(t *testing.T) { testOwner(t, all, all, first) })
	t.Run("again", func(t *testing.T) { testComeAgain(t, all, first) })
	t.Run("slow", func(t *testing.T) { // what takes long, and waits most of the time
		t.Run("hung", func(t *testing.T) {
			t.Parallel()
			testHungServer(t, all, start(t, "hung"))
		})
		t.Run("leases", func(t *testing.T) {
			t.Parallel()
			testLeases(t, all, start(t, "leases"))
		})
	})
}

// TestServersOnPostgres does the same, where stores could make a difference, on PostgreSQL.
func TestServersOnPostgres(t *testing.T) {
	all := languages(t)
	store := postgrestest.Start(t, postgrestest.Options{})
	place := fmt.Sprintf("127.0.0.1:%d", store.Port)
	f := startFleet(t, slices.Repeat([]string{place}, servers), func(addr string) string {
		return strings.Replace(store.URL("interop"), place, addr, 1)
	})
	t.Run("form", func(t *testing.T) { testFormation(t, all, f) })
	t.Run("lose servers", func(t *testing.T) { testLostServers(t, all, f) })
	t.Run("owner", func(t *testing.T) { testOwner(t, all, all[:1], f) })
}

// comer is a member that is to come.
type comer struct {
	l        language
	protocol string
	name     string
	dir      string
	endpoint string
}

// comers returns n members in each language and each of the generations.
func comers(t *testing.T, all []language, n int, generations ...string) (who []comer) {
	t.Helper()
	for _, l := range all {
		for _, protocol := range generations {
			for i := range n {
				name := fmt.Sprintf("%s-%s-%d", l.name, strings.ReplaceAll(protocol, ".", ""), i)
				who = append(who, comer{l: l, protocol: protocol, name: name})
			}
		}
	}
	var names []string
	for i := range who {
		names = append(names, who[i].name)
	}
	addrs := freeport.Addresses(t, len(who))
	for i, dir := range nodeDirs(t, names...) {
		who[i].dir, who[i].endpoint = dir, addrs[i]
	}
	return who
}

// join starts a member that waits until the cluster is full, and prints the roster.
func (c *comer) join(t *testing.T, cred, cluster string, size int, more ...string) *program {
	t.Helper()
	args := []string{
		"--registry", cred, "--protocol", c.protocol, "join", cluster, "--create", "--size", fmt.Sprint(size),
		"--node", c.dir, "--endpoint", c.endpoint, "--wait", "100s", "-o", "json",
	}
	return launch(t, c.name, c.l.command, append(args, more...)...)
}

func joinAll(t *testing.T, who []comer, cred, cluster string, size int, more ...string) (started []*program) {
	t.Helper()
	for i := range who {
		started = append(started, who[i].join(t, cred, cluster, size, more...))
	}
	return started
}

// sameRosters waits for the members to end, which all have to have the same whole roster
// and, where they have one, the same sum.
func sameRosters(t *testing.T, members []*program) {
	t.Helper()
	first := members[0].roster()
	sums := make(map[string][]string)
	for _, p := range members {
		r := p.roster()
		same(t, p.name, r, first)
		if r.State.Sum != "" {
			sums[r.State.Sum] = append(sums[r.State.Sum], p.name)
		}
	}
	if len(sums) != 1 {
		t.Errorf("the members see %v", sums)
	}
}

// testFormation forms a cluster of two members in each language and each generation.
func testFormation(t *testing.T, all []language, f *fleet) {
	who := comers(t, all, 2, protocols...)
	n := len(who)
	members := joinAll(t, who[1:], f.cred, "mixed", n)
	until(t, "all but one wait", func() bool { return f.full("mixed", n-1) })
	open := f.sessions()
	t.Logf("sessions of the servers: %v", open)
	if slices.Max(open) > n*5/6 { // by chance once in 200,000 runs
		t.Errorf("sessions of the servers: %v", open)
	}
	members = append(members, who[0].join(t, f.cred, "mixed", n))
	sameRosters(t, members)
}

const (
	killedGoal = time.Second
	cutGoal    = 5 * time.Second
	hungGoal   = 35 * time.Second
)

// waiting is members in all languages that wait for one more.
type waiting struct {
	f       *fleet
	cluster string
	last    comer
	members []*program
	came    time.Duration // how long it took them to come: how fast this machine is
}

func startWaiting(t *testing.T, f *fleet, cluster string, who []comer) *waiting {
	t.Helper()
	w := &waiting{f: f, cluster: cluster, last: who[0]}
	n := len(who) - 1
	w.members = joinAll(t, who[1:], f.cred, cluster, len(who))
	w.came = until(t, "all but one wait", func() bool { return f.full(cluster, n) })
	return w
}

// lose has a server be lost, waits until all are at others, and prints how long it took. A
// machine with other work may be some times slower than the goal; what goes on by no
// more than a timeout of last resort takes longer than that.
func (w *waiting) lose(t *testing.T, how string, goal time.Duration, lost int, lose func()) {
	t.Helper()
	open := w.f.sessions()
	lose()
	took := until(t, "all wait elsewhere", func() bool { return w.f.others(lost) >= len(w.members) })
	t.Logf("%s: %d of %d were at it, and all are elsewhere after %v: %v, then %v",
		how, open[lost], len(w.members), took.Round(time.Millisecond), open, w.f.sessions())
	if took > max(4*goal, w.came) {
		t.Errorf("%s: all are elsewhere after %v", how, took)
	}
}

// finish has the last member come, and returns when all have the roster.
func (w *waiting) finish(t *testing.T) {
	t.Helper()
	sameRosters(t, append(w.members, w.last.join(t, w.f.cred, w.cluster, len(w.members)+1)))
}

// testLostServers kills one server and cuts one off from its store while members wait.
func testLostServers(t *testing.T, all []language, f *fleet) {
	w := startWaiting(t, f, "lost", append(comers(t, all, 2, "2.0"), comers(t, all, 1, "1.9", "1.8")...))
	killed := f.busiest()
	w.lose(t, "killed", killedGoal, killed, func() { f.kill(killed) })
	f.start(killed)
	cut := f.busiest()
	w.lose(t, "cut off from its store", cutGoal, cut, func() { f.relays[cut].setCut(true) })
	if f.isServing(cut) {
		t.Error("the server that is cut off says that it serves")
	}
	w.finish(t)
	f.relays[cut].setCut(false)
	back := until(t, "the server serves again", func() bool { return f.isServing(cut) })
	t.Logf("the server that was cut off serves again after %v", back.Round(time.Millisecond))
}

// testHungServer stops a server, whose machine goes on to accept connections.
func testHungServer(t *testing.T, all []language, f *fleet) {
	w := startWaiting(t, f, "hung", append(comers(t, all, 1, "2.0"), comers(t, all, 1, "1.9")...))
	hung := f.busiest()
	w.lose(t, "hung", hungGoal, hung, func() { f.signal(f.running[hung], syscall.SIGSTOP) })
	w.finish(t)
	f.signal(f.running[hung], syscall.SIGCONT)
	until(t, "the server serves again", func() bool { return f.isServing(hung) })
}
