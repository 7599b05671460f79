package bench_test

import (
	"bufio"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

const servers = 3

// The stores that are compared, and what they are called in figures.
const (
	onEtcd     = "etcd"
	onFarEtcd  = "far-etcd"
	onPostgres = "postgres"
	onFarPG    = "far-postgres"
)

// far is how long it takes there and back between the servers and a store that is far.
const far = 2 * time.Millisecond

// BenchmarkFleet64 forms clusters of 64 over 2.0 in turns on one server in memory, on one
// with a file, and through three servers on three members of etcd and on PostgreSQL, near
// by and with 2 ms there and back between the servers and the store. Databases wait for their
// disks, as they do unless told otherwise. All members are new in each round, so that
// their registration counts.
//
// The goals are 1.3 for etcd/bbolt and postgres/bbolt, 2.5 for far-etcd/memory, one write
// transaction a member, and a quarter of them in conflict.
func BenchmarkFleet64(b *testing.B) {
	stores := []string{bench.Memory, bench.Bbolt, onEtcd, onPostgres, onFarEtcd, onFarPG}
	fleets := startFleets(b, stores)
	took := must[time.Duration](b)
	received := make(map[string][]time.Duration)
	costs := make(map[string][]bench.FleetCounts)
	for i := range 1 + max(rounds, b.N) {
		all := modernNodes(b, members)
		for k := range stores {
			store := stores[(i+k)%len(stores)] // each round begins with another one
			f := bench.Formation{
				Registry: fleets[store].Registry, Nodes: all, Protocol: xlreg.Protocol20, Cluster: name("received", i),
			}
			before := counts(b, fleets[store])
			d := took(f.Receive(b.Context()))
			if i == 0 {
				continue // what is made once is not what is measured
			}
			received[store] = append(received[store], d)
			costs[store] = append(costs[store], counts(b, fleets[store]).Since(before))
		}
	}
	for _, store := range stores {
		b.ReportMetric(ms(received[store]), "ms/received-"+store)
		reportWrites(b, store, costs[store])
	}
	for _, pair := range [][2]string{{onEtcd, bench.Bbolt}, {onPostgres, bench.Bbolt}, {onFarEtcd, bench.Memory}, {onFarPG, bench.Memory}} {
		ratio := bench.Median(bench.Ratios(received[pair[0]], received[pair[1]]))
		b.ReportMetric(ratio, pair[0]+"/"+pair[1])
	}
	b.ReportMetric(0, "ns/op")
}

// reportWrites reports the transactions of formations, unless the store is of one server.
func reportWrites(b *testing.B, store string, costs []bench.FleetCounts) {
	b.Helper()
	if len(costs[0].Sessions) == 1 {
		return
	}
	var writes, conflicts int64
	for _, c := range costs {
		writes += c.Writes
		conflicts += c.Conflicts
	}
	b.ReportMetric(float64(writes)/float64(len(costs)*members), "writes/member-"+store)
	b.ReportMetric(100*float64(conflicts)/float64(writes), "%-conflicts-"+store)
}

// BenchmarkFleetSessions forms clusters of 64 with the client that users have, which
// tries the endpoints in random order. The goal is that the busiest of three servers has
// at most twice the sessions of the mean.
func BenchmarkFleetSessions(b *testing.B) {
	fleet := startFleets(b, []string{onEtcd})[onEtcd]
	took := must[time.Duration](b)
	var busiest []float64
	for i := range max(rounds, b.N) {
		f := bench.Formation{
			Registry: fleet.Registry, Nodes: modernNodes(b, members), Protocol: xlreg.Protocol20, Cluster: name("verified", i),
		}
		before := counts(b, fleet)
		took(f.Verify(b.Context()))
		busiest = append(busiest, busiestToMean(counts(b, fleet).Since(before).Sessions))
	}
	b.ReportMetric(bench.Median(busiest), "busiest/mean")
	b.ReportMetric(slices.Max(busiest), "worst-busiest/mean")
	b.ReportMetric(0, "ns/op")
}

func busiestToMean(sessions []int64) float64 {
	var all int64
	for _, n := range sessions {
		all += n
	}
	return float64(slices.Max(sessions)) * float64(len(sessions)) / float64(all)
}

// BenchmarkFleetWaking lets 64 clients wait at three servers for a change, makes it, and
// counts what etcd is asked meanwhile, as its members count it. The goal is two
// operations a server, without the write transaction that is the change.
func BenchmarkFleetWaking(b *testing.B) {
	etcds := etcdtest.Start(b, etcdtest.Options{Members: 3, Fsync: true})
	fleet := startFleet(b, etcds.URL("/waking"), servers)
	var woken []time.Duration
	var operations []float64
	for i := range max(rounds, b.N) {
		var before int64
		d, err := fleet.Wake(b.Context(), modernNodes(b, 1)[0], name("woken", i), members, func() (err error) {
			before, err = quiet(b, etcds)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		after := must[int64](b)(quiet(b, etcds))
		woken = append(woken, d)
		operations = append(operations, float64(after-before-1)/servers)
	}
	b.ReportMetric(bench.Median(operations), "etcd-operations/server")
	b.ReportMetric(slices.Max(operations), "most-etcd-operations/server")
	b.ReportMetric(ms(woken), "ms/all-told")
	b.ReportMetric(0, "ns/op")
}

// quiet waits until etcd has nothing to do, and returns how many operations on keys its
// members have carried out.
func quiet(tb testing.TB, c *etcdtest.Cluster) (int64, error) {
	tb.Helper()
	last := int64(-1)
	for {
		n, err := operations(c)
		if err != nil || n == last {
			return n, err
		}
		last = n
		select {
		case <-tb.Context().Done():
			return 0, tb.Context().Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// operations returns how many operations on keys the members say that they were asked for.
func operations(c *etcdtest.Cluster) (all int64, err error) {
	for i := range c.Members() {
		n, err := memberMetric(c, i, "grpc_server_started_total", `grpc_service="etcdserverpb.KV"`)
		if err != nil {
			return 0, err
		}
		all += int64(n)
	}
	return all, nil
}

// memberMetric returns the sum of a metric that a member tells, of the lines that have
// all these labels.
func memberMetric(c *etcdtest.Cluster, member int, metric string, labels ...string) (all float64, err error) {
	resp, err := http.Get("http://" + c.Member(member).Endpoint() + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	found := false
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := cutLast(lines.Text(), ' ')
		rest, is := strings.CutPrefix(name, metric)
		if !ok || !is || rest != "" && rest[0] != '{' || !hasAll(rest, labels) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		found = true
		all += n
	}
	if err := lines.Err(); err != nil || found {
		return all, err
	}
	return 0, errors.New("etcd does not tell " + metric)
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func hasAll(s string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(s, part) })
}

// Servers on one store are one registry, and what they count is what they have done.
func TestFleet(t *testing.T) {
	all := must[[]*identity.Node](t)(few())
	fleet := startFleet(t, etcdtest.Start(t, etcdtest.Options{}).URL("/fleet"), 2)
	before := counts(t, fleet)
	f := bench.Formation{Registry: fleet.Registry, Nodes: all, Protocol: xlreg.Protocol20, Cluster: "fleet"}
	must[time.Duration](t)(f.Receive(t.Context()))
	c := counts(t, fleet).Since(before)
	if n := c.Sessions[0] + c.Sessions[1]; n != int64(len(all)) {
		t.Errorf("%d sessions of %d members", n, len(all))
	}
	if c.Writes < 2 || c.Conflicts >= c.Writes {
		t.Errorf("%d write transactions, %d in conflict", c.Writes, c.Conflicts)
	}
	var waiting int64
	took, err := fleet.Wake(t.Context(), all[0], "woken", 8, func() error {
		waiting = counts(t, fleet).Waiting
		return nil
	})
	if err != nil || took <= 0 || waiting != 8 {
		t.Errorf("%d waited, told after %v, %v", waiting, took, err)
	}
}

// startFleets starts a registry on each of these stores. The ones that are far share the
// database of those that are near.
func startFleets(tb testing.TB, stores []string) map[string]*bench.Fleet {
	tb.Helper()
	etcds := etcdtest.Start(tb, etcdtest.Options{Members: 3, Fsync: true})
	var postgres *postgrestest.Server
	if slices.Contains(stores, onPostgres) {
		postgres = postgrestest.Start(tb, postgrestest.Options{Durable: true})
	}
	fleets := make(map[string]*bench.Fleet)
	for _, store := range stores {
		switch store {
		case onEtcd:
			fleets[store] = startFleet(tb, etcds.URL("/near"), servers)
		case onFarEtcd:
			fleets[store] = startFleet(tb, farURL(tb, etcds.URL("/far")), servers)
		case onPostgres:
			fleets[store] = startFleet(tb, postgres.URL("near"), servers)
		case onFarPG:
			fleets[store] = startFleet(tb, farURL(tb, postgres.URL("far")), servers)
		default:
			fleets[store] = startFleet(tb, store, 1)
		}
	}
	return fleets
}

// farURL returns a URL with other hosts that lead to those of url.
func farURL(tb testing.TB, store string) string {
	tb.Helper()
	scheme, rest, _ := strings.Cut(store, "://")
	all, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(all, '@') + 1
	var hosts []string
	for host := range strings.SplitSeq(all[at:], ",") {
		hosts = append(hosts, delayed(tb, host, far/2))
	}
	return scheme + "://" + all[:at] + strings.Join(hosts, ",") + "/" + path
}

// startFleet starts servers that end with the benchmark.
func startFleet(tb testing.TB, store string, n int) *bench.Fleet {
	tb.Helper()
	f, err := bench.StartFleet(self(tb), nodes(tb, 1)[0].Keys(), store, tb.TempDir(), n)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
	})
	return f
}

func counts(tb testing.TB, f *bench.Fleet) bench.FleetCounts {
	tb.Helper()
	c, err := f.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
