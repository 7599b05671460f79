package bench_test

import (
	"context"
	"fmt"
	"testing"
	"time"

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

// BenchmarkScale measures what docs/scale.md is reckoned from: what a member costs the
// server that it comes to, every other server, and etcd. Eight clusters of 32 are formed
// at once through two of three servers. The third serves nobody, so what it uses is the
// price of being told of all changes.
func BenchmarkScale(b *testing.B) {
	etcds := etcdtest.Start(b, etcdtest.Options{Members: 3, Fsync: true})
	fleet := startFleet(b, etcds.URL("/scale"), servers)
	target := *fleet.Target
	target.Endpoints = target.Endpoints[:2]
	busy := &bench.Registry{Target: &target, Spread: true}
	var serving, told, etcd, stored []float64
	var writes, conflicts int64
	const all = scaleClusters * scaleMembers
	for i := range 1 + max(rounds, b.N) {
		formations := manyFormations(b, busy, i)
		before := costs(b, fleet, etcds)
		formAll(b, formations)
		c := costs(b, fleet, etcds).minus(before)
		if i == 0 {
			continue // what is made once is not what is measured
		}
		serving = append(serving, 1e6*(c.servers[0]+c.servers[1])/all)
		told = append(told, 1e6*c.servers[2]/all)
		etcd = append(etcd, 1e6*c.etcd/all)
		stored = append(stored, c.stored/all)
		writes += c.Writes
		conflicts += c.Conflicts
	}
	b.ReportMetric(bench.Median(serving), "µs-server/member")
	b.ReportMetric(bench.Median(told), "µs-other-server/member")
	b.ReportMetric(bench.Median(etcd), "µs-etcd/member")
	b.ReportMetric(bench.Median(stored), "bytes-etcd/member")
	b.ReportMetric(float64(writes)/float64(len(serving)*all), "writes/member")
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

// cost is what has been used so far: seconds of processor time, and bytes.
type cost struct {
	bench.FleetCounts
	servers [servers]float64
	etcd    float64
	stored  float64
}

func (c cost) minus(o cost) cost {
	c.FleetCounts = c.Since(o.FleetCounts)
	for i := range c.servers {
		c.servers[i] -= o.servers[i]
	}
	c.etcd -= o.etcd
	c.stored -= o.stored
	return c
}

// costs asks servers and members. The members forget their history before, so that what
// they store is what there is.
func costs(b *testing.B, f *bench.Fleet, etcds *etcdtest.Cluster) (c cost) {
	b.Helper()
	c.FleetCounts = counts(b, f)
	for i, p := range f.Servers {
		c.servers[i] = must[time.Duration](b)(p.CPU()).Seconds()
	}
	c.etcd = etcdTime(b, etcds)
	etcds.Compact()
	c.stored = must[float64](b)(settledSize(b.Context(), etcds))
	return c
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

// BenchmarkScaleEtcd measures how many transactions a second three members carry out that
// each put a record of a kilobyte, for many who ask at once, and what that costs them.
func BenchmarkScaleEtcd(b *testing.B) {
	const writers, each = 64, 100
	etcds := etcdtest.Start(b, etcdtest.Options{Members: 3, Fsync: true})
	client := etcds.Client()
	value := string(make([]byte, 1<<10))
	var rates, used []float64
	for range max(rounds, b.N) {
		before := etcdTime(b, etcds)
		begun := time.Now()
		var group errgroup.Group
		for w := range writers {
			group.Go(func() error {
				for range each {
					if _, err := client.Put(b.Context(), fmt.Sprint("k", w), value); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		rates = append(rates, writers*each/time.Since(begun).Seconds())
		used = append(used, 1e6*(etcdTime(b, etcds)-before)/(writers*each))
	}
	b.ReportMetric(bench.Median(rates), "transactions/s")
	b.ReportMetric(bench.Median(used), "µs-etcd/transaction")
	b.ReportMetric(0, "ns/op")
}

func etcdTime(b *testing.B, c *etcdtest.Cluster) (all float64) {
	b.Helper()
	for i := range c.Members() {
		all += must[float64](b)(memberMetric(c, i, "process_cpu_seconds_total"))
	}
	return all
}
