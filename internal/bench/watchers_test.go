package bench_test

import (
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/keys"
)

// modernNodes are nodes with keys on P-256.
func modernNodes(tb testing.TB, n int) []*identity.Node {
	tb.Helper()
	return must[[]*identity.Node](tb)(bench.NewNodesOfKind(tb.Context(), n, keys.P256, 0, nil))
}

// BenchmarkWatchers tells 1,000 readers of 100 members that join one after the other. The
// goals are 12,000 answers at most, 0.7 KB for each change that a watcher is told of, and
// 350 ms from the last Join until the last of them knows.
func BenchmarkWatchers(b *testing.B) {
	const joins, watchers = 100, 1000
	all := modernNodes(b, joins)
	process := start(b, nodes(b, 1)[0].Keys(), bench.Memory)
	l := &bench.Load{Registry: process.Registry, Process: process, Protocol: xlreg.Protocol20, Nodes: all}
	var answers, bytes, last []float64
	for i := range max(rounds, b.N) {
		w := must[bench.Watched](b)(l.Watch(b.Context(), name("watched", i), watchers))
		answers = append(answers, float64(w.Answers))
		bytes = append(bytes, float64(w.Bytes)/(joins*watchers))
		last = append(last, w.Last.Seconds()*1000)
	}
	b.ReportMetric(bench.Median(answers), "answers")
	b.ReportMetric(bench.Median(bytes), "bytes/change")
	b.ReportMetric(bench.Median(last), "ms/last-told")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLeases keeps 10,000 leases of 15 s on bbolt for a minute. The goal is a tenth
// of one core.
func BenchmarkLeases(b *testing.B) {
	const leases, lease, keep = 10_000, 15 * time.Second, time.Minute
	all := modernNodes(b, leases)
	process := start(b, nodes(b, 1)[0].Keys(), bench.Bbolt)
	l := &bench.Load{Registry: process.Registry, Process: process, Protocol: xlreg.Protocol20, Nodes: all}
	s := must[bench.Sample](b)(l.Leases(b.Context(), "leased", lease, keep))
	b.ReportMetric(100*s.Server.Seconds()/s.Took.Seconds(), "%-of-a-core")
	b.ReportMetric(0, "ns/op")
}
