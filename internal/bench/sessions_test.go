package bench_test

import (
	"context"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
)

// rounds is how often a measurement is repeated whose runs are short, as the speed
// of a shared machine drifts. Each is one ratio, of which the median counts.
const rounds = 21

// BenchmarkClassicSessionCPU measures what one classic session, Hello, Member
// and Bye, costs the server, which is a process of its own, and holds it against
// one RSA-2048 decryption in the same process. The goal is 1.2.
func BenchmarkClassicSessionCPU(b *testing.B) {
	const eachRound = 150
	for _, p := range []xlreg.Protocol{xlreg.Protocol19, xlreg.Protocol18} {
		b.Run(p.String(), func(b *testing.B) {
			all := nodes(b, 2)
			process := start(b, all[1].Keys(), bench.Memory)
			l := &bench.Load{Registry: process.Registry, Process: process, Protocol: p, Nodes: all[:1]}
			compare(b, process, eachRound, func() time.Duration {
				return must[bench.Sample](b)(l.Sessions(b.Context(), eachRound)).Server
			})
		})
	}
}

// BenchmarkSessionCPU measures what one session over 2.0 of a member that joins a
// cluster of 16 costs the server: the handshake with the member's certificate,
// Member, Join, a Get that waits for all 16, and Bye. It is held against one
// RSA-2048 decryption in the same process. The goals are 1.0 for members with RSA keys and
// 0.7 for those with keys on P-256.
func BenchmarkSessionCPU(b *testing.B) {
	const size = 16
	for kind, all := range map[string][]*identity.Node{"RSA": nodes(b, size), "P-256": modernNodes(b, size)} {
		b.Run(kind, func(b *testing.B) { sessionCPU(b, all) })
	}
}

func sessionCPU(b *testing.B, all []*identity.Node) {
	b.Helper()
	const clusters = 10
	process := start(b, nodes(b, 1)[0].Keys(), bench.Memory)
	l := &bench.Load{Registry: process.Registry, Process: process, Protocol: xlreg.Protocol20, Nodes: all}
	round := 0
	compare(b, process, clusters*len(all), func() time.Duration {
		round++
		return must[bench.Sample](b)(l.Joins(b.Context(), name("joins", round), clusters)).Server
	})
}

// BenchmarkObservedCPU measures what it costs the server to be counted for Prometheus and to
// keep an audit log. Sessions are those of BenchmarkSessionCPU; two registries, of which one
// is observed, have them in turns. The goal is 1.02.
func BenchmarkObservedCPU(b *testing.B) {
	const size, clusters = 16, 10
	all := modernNodes(b, size)
	set := nodes(b, 1)[0].Keys()
	load := func(store string) func() float64 {
		process := start(b, set, store)
		l := &bench.Load{Registry: process.Registry, Process: process, Protocol: xlreg.Protocol20, Nodes: all}
		round := 0
		return func() float64 {
			round++
			return float64(must[bench.Sample](b)(l.Joins(b.Context(), name("joins", round), clusters)).Server) / float64(clusters*size)
		}
	}
	plain, observed := load(bench.Memory), load(bench.Observed+bench.Memory)
	plain() // whatever is done once only is done now
	observed()
	var without, with []float64
	for i := range max(rounds, b.N) {
		if i%2 == 0 { // whoever comes second may find a warmer processor
			without, with = append(without, plain()), append(with, observed())
		} else {
			with, without = append(with, observed()), append(without, plain())
		}
	}
	b.ReportMetric(bench.Median(without)/1e3, "µs-cpu/session")
	b.ReportMetric(bench.Median(bench.Ratios(with, without)), "observed/plain")
	b.ReportMetric(0, "ns/op") // is the clients' time as well
}

// compare holds n sessions, whose processor time the function returns, against n
// decryptions.
func compare(b *testing.B, process *bench.Process, n int, sessions func() time.Duration) {
	b.Helper()
	sessions() // whatever is done once only is done now
	var perSession, collected, perDecryption []float64
	for range max(rounds, b.N) {
		before := must[int64](b)(process.Collections())
		perSession = append(perSession, float64(sessions())/float64(n))
		collected = append(collected, float64(must[int64](b)(process.Collections())-before)/float64(n))
		perDecryption = append(perDecryption, float64(decryptions(b, process, n))/float64(n))
	}
	b.ReportMetric(bench.Median(perSession)/1e3, "µs-cpu/session")
	b.ReportMetric(1000*mean(collected), "collections/1000-sessions")
	b.ReportMetric(bench.Median(perDecryption)/1e3, "µs-cpu/decryption")
	b.ReportMetric(bench.Median(bench.Ratios(perSession, perDecryption)), "session/decryption")
	b.ReportMetric(0, "ns/op") // is the clients' time as well
}

// mean is for what happens in some rounds and not in others.
func mean(values []float64) (sum float64) {
	for _, v := range values {
		sum += v / float64(len(values))
	}
	return sum
}

// decryptions returns the processor time that n decryptions take.
func decryptions(b *testing.B, process *bench.Process, n int) time.Duration {
	b.Helper()
	cpu := must[time.Duration](b)
	begun := cpu(process.CPU())
	if err := process.Decrypt(n); err != nil {
		b.Fatal(err)
	}
	return cpu(process.CPU()) - begun
}

// BenchmarkMembersCPU measures what reading all members of a full cluster of 64,
// over open 2.0 sessions, costs the server. The goal is 4,000 in a second of one
// processor, so 250 µs each.
func BenchmarkMembersCPU(b *testing.B) {
	const eachRound = 1000
	all := nodes(b, members+1)
	process := start(b, all[members].Keys(), bench.Memory)
	l := &bench.Load{Registry: process.Registry, Process: process, Protocol: xlreg.Protocol20, Nodes: all[:members]}
	if err := l.Fill(b.Context(), "full"); err != nil {
		b.Fatal(err)
	}
	read := func() bench.Sample { return must[bench.Sample](b)(l.Members(b.Context(), "full", eachRound)) }
	read()
	var cpu, took []float64
	for range max(rounds, b.N) {
		s := read()
		cpu = append(cpu, s.Server.Seconds()/eachRound)
		took = append(took, s.Took.Seconds()/eachRound)
	}
	b.ReportMetric(bench.Median(cpu)*1e6, "µs-cpu/members")
	b.ReportMetric(1/bench.Median(cpu), "members/s-of-a-core")
	b.ReportMetric(1/bench.Median(took), "members/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWaitingMemory measures what each of 10,000 connections that wait has the
// server hold: its anonymous resident memory less that at the start. The goals are
// 32 KiB over 2.0 and 12 KiB over a classic carrier.
func BenchmarkWaitingMemory(b *testing.B) {
	const crowd = 10_000
	for _, p := range protocols {
		b.Run(p.String(), func(b *testing.B) {
			all := nodes(b, 2)
			process := start(b, all[1].Keys(), bench.Memory)
			l := &bench.Load{Registry: process.Registry, Process: process, Protocol: p, Nodes: all[:1]}
			c := l.NewCrowd(crowd, "wait")
			defer c.Close()
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
			defer cancel()
			s := must[bench.Sample](b)(c.Open(ctx))
			b.ReportMetric(float64(s.Memory)/1024, "KiB/connection")
			b.ReportMetric(float64(len(s.Latencies))/s.Took.Seconds(), "opened/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
