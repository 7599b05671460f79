package bench_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
)

// What BenchmarkScale forms in each round.
const (
	scaleClusters = 8
	scaleMembers  = 32
)

// BenchmarkScale measures what docs/scale.md is computed from: what a member costs the
// server that it comes to, every other server, and etcd. Eight clusters of 32 are formed
// at once through two of three servers. The third serves nobody, so what it uses is the
// price of being told of all changes.
func BenchmarkScale(b *testing.B) {
	etcds := etcdtest.Start(b, etcdtest.Options{Members: 3, Fsync: true})
	fleet := startFleet(b, etcds.URL("/scale"), servers)
	target := *fleet.Target
	target.Endpoints = target.Endpoints[:2]
	busy := &bench.Registry{Target: &target, Spread: true}
	var serving, told, etcd, bytes []float64
	var writes, conflicts, looks int64
	const all = scaleClusters * scaleMembers
	for i := range 1 + max(rounds, b.N) {
		formations := manyFormations(b, busy, i)
		had := stored(b, etcds)
		before := spent(b, fleet, etcds)
		formAll(b, formations)
		c := spent(b, fleet, etcds).minus(before)
		has := stored(b, etcds)
		if i == 0 {
			continue // what is made once is not what is measured
		}
		serving = append(serving, 1e6*(c.servers[0]+c.servers[1])/all)
		told = append(told, 1e6*c.servers[2]/all)
		etcd = append(etcd, 1e6*c.etcd/all)
		bytes = append(bytes, (has-had)/all)
		writes += c.Writes
		conflicts += c.Conflicts
		looks += c.Looks
	}
	b.ReportMetric(bench.Median(serving), "µs-server/member")
	b.ReportMetric(bench.Median(told), "µs-other-server/member")
	b.ReportMetric(bench.Median(etcd), "µs-etcd/member")
	b.ReportMetric(bench.Median(bytes), "bytes-etcd/member")
	b.ReportMetric(float64(writes)/float64(len(serving)*all), "writes/member")
	b.ReportMetric(float64(looks)/float64(len(serving)*all), "comparisons/member")
	b.ReportMetric(100*float64(conflicts)/float64(writes), "%-conflicts")
	b.ReportMetric(0, "ns/op")
}

func manyFormations(b *testing.B, r *bench.Registry, round int) []bench.Formation {
	b.Helper()
	list := make([]bench.Formation, scaleClusters)
	for k := range list {
		list[k] = bench.Formation{
			Registry: r, Nodes: modernNodes(b, scaleMembers), Protocol: xlreg.Protocol20, Cluster: name(fmt.Sprintf("scale-%d", round), k),
		}
	}
	return list
}

func formAll(b *testing.B, formations []bench.Formation) {
	b.Helper()
	var group errgroup.Group
	for k := range formations {
		group.Go(func() error {
			_, err := formations[k].Receive(b.Context())
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// cost is what has been done so far, and the seconds of processor time that it took.
type cost struct {
	bench.FleetCounts
	servers [servers]float64
	etcd    float64
}

func (c cost) minus(o cost) cost {
	c.FleetCounts = c.Since(o.FleetCounts)
	for i := range c.servers {
		c.servers[i] -= o.servers[i]
	}
	c.etcd -= o.etcd
	return c
}

// spent asks servers and members of etcd.
func spent(b *testing.B, f *bench.Fleet, etcds *etcdtest.Cluster) (c cost) {
	b.Helper()
	c.FleetCounts = counts(b, f)
	for i, p := range f.Servers {
		c.servers[i] = must[time.Duration](b)(p.CPU()).Seconds()
	}
	c.etcd = etcdTime(b, etcds)
	return c
}

// stored lets etcd forget its history, so that what it has is what there is, and returns
// how large that is.
func stored(b *testing.B, etcds *etcdtest.Cluster) float64 {
	b.Helper()
	if _, err := etcds.Client().Put(b.Context(), "mark", ""); err != nil { // so that there is something to forget
		b.Fatal(err)
	}
	etcds.Compact()
	return must[float64](b)(settledSize(b.Context(), etcds))
}

// settledSize returns how large the database is once what was compacted is gone from it.
func settledSize(ctx context.Context, c *etcdtest.Cluster) (float64, error) {
	last := -1.0
	for {
		n, err := memberMetric(c, 0, "etcd_mvcc_db_total_size_in_use_in_bytes")
		if err != nil || n == last {
			return n, err
		}
		last = n
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// BenchmarkScaleEtcd measures what three members of etcd take for a transaction that puts
// a kilobyte, for one that only compares, and for telling a watcher of one; and how many
// they carry out for many who ask at once.
func BenchmarkScaleEtcd(b *testing.B) {
	etcds := etcdtest.Start(b, etcdtest.Options{Members: 3, Fsync: true})
	client := etcds.Client()
	value := string(make([]byte, 1<<10))
	put := func(key string) error {
		_, err := client.Put(b.Context(), key, value)
		return err
	}
	compare := func(key string) error {
		_, err := client.Txn(b.Context()).If(clientv3.Compare(clientv3.ModRevision(key), ">", 0)).Commit()
		return err
	}
	var lone, rates, puts, compares, told []float64
	for range max(rounds, b.N) {
		lone = append(lone, perOperation(b, etcds, 1, put).milliseconds)
		o := perOperation(b, etcds, scaleWriters, put)
		rates, puts = append(rates, scaleWriters*1000/o.milliseconds), append(puts, o.used)
		compares = append(compares, perOperation(b, etcds, scaleWriters, compare).used)
		stop := watchAll(b, etcds)
		told = append(told, (perOperation(b, etcds, scaleWriters, put).used-o.used)/scaleWatchers)
		stop()
	}
	b.ReportMetric(bench.Median(lone), "ms/lone-transaction")
	b.ReportMetric(bench.Median(rates), "transactions/s")
	b.ReportMetric(bench.Median(puts), "µs-etcd/transaction")
	b.ReportMetric(bench.Median(compares), "µs-etcd/comparison")
	b.ReportMetric(bench.Median(told), "µs-etcd/watcher-told")
	b.ReportMetric(0, "ns/op")
}

// How many write and watch at once.
const (
	scaleWriters  = 64
	scaleWatchers = 30
)

// operation is what one takes.
type operation struct {
	milliseconds float64
	used         float64 // µs of all members' processors
}

// perOperation lets so many make operations at once.
func perOperation(b *testing.B, etcds *etcdtest.Cluster, writers int, do func(key string) error) operation {
	b.Helper()
	const each = 50
	before := etcdTime(b, etcds)
	begun := time.Now()
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for range each {
				if err := do(fmt.Sprint("k", w)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return operation{
		milliseconds: time.Since(begun).Seconds() * 1000 / each,
		used:         1e6 * (etcdTime(b, etcds) - before) / float64(writers*each),
	}
}

// watchAll has as many watchers told of everything as there may be servers, each over a
// connection of its own, until it is stopped.
func watchAll(b *testing.B, etcds *etcdtest.Cluster) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var watching sync.WaitGroup
	for i := range scaleWatchers {
		client, err := clientv3.New(clientv3.Config{Endpoints: etcds.Endpoints()[i%3 : i%3+1], Logger: zap.NewNop()})
		if err != nil {
			b.Fatal(err)
		}
		told := client.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		<-told
		watching.Go(func() {
			defer client.Close()
			for range told {
				continue
			}
		})
	}
	return func() {
		cancel()
		watching.Wait()
	}
}

func etcdTime(b *testing.B, c *etcdtest.Cluster) (all float64) {
	b.Helper()
	for i := range c.Members() {
		all += must[float64](b)(memberMetric(c, i, "process_cpu_seconds_total"))
	}
	return all
}
