package bench_test

import (
	"context"
	"flag"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/bolt"
)

// BenchmarkFollowers forms clusters of 64 in turns while nothing else changes, while there
// are 1,000 changes a second, and while 200 follow these. The goal for followed/changing is
// 1.1.
func BenchmarkFollowers(b *testing.B) {
	const followers, changes = 200, 1000
	modes := [...]struct {
		name            string
		followers, rate int
	}{{"quiet", 0, 0}, {"changing", 0, changes}, {"followed", followers, changes}}
	all := modernNodes(b, members)
	process := start(b, nodes(b, 1)[0].Keys(), bench.Memory)
	cpu := must[time.Duration](b)
	var took, worked [len(modes)][]time.Duration
	for i := range 1 + max(rounds, b.N) {
		for k := range modes {
			k = (k + i) % len(modes) // none is always the first
			if err := process.Follow(modes[k].followers, modes[k].rate); err != nil {
				b.Fatal(err)
			}
			f := bench.Formation{Registry: process.Registry, Nodes: all, Protocol: xlreg.Protocol20, Cluster: name(modes[k].name, i)}
			before := cpu(process.CPU())
			d := must[time.Duration](b)(f.Receive(b.Context()))
			if i > 0 { // whatever is done once only was done then
				took[k], worked[k] = append(took[k], d), append(worked[k], cpu(process.CPU())-before)
			}
		}
	}
	for k := range modes {
		b.ReportMetric(ms(took[k]), "ms/"+modes[k].name)
		b.ReportMetric(ms(worked[k]), "ms-cpu/"+modes[k].name)
	}
	b.ReportMetric(bench.Median(bench.Ratios(took[1], took[0])), "changing/quiet")
	b.ReportMetric(bench.Median(bench.Ratios(took[2], took[1])), "followed/changing")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSteward measures how long those who run a registry wait for what they ask of one
// with a million nodes in 50,000 clusters. The goal is a tenth of a second for each answer.
//
// The file is that of BenchmarkMillion, so this too runs only when it is asked for by name.
func BenchmarkSteward(b *testing.B) {
	if !strings.Contains(flag.Lookup("test.bench").Value.String(), "Steward") {
		b.Skip("makes a file of several GiB: ask for it with -bench Steward")
	}
	node := nodes(b, 1)[0]
	path := filepath.Join(b.TempDir(), "xlreg.db")
	fill(b, path, node)
	st, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	h, err := host.Start(host.Config{Node: node, Store: st})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Close() })
	load(b, h.Host)
	a := &asker{b: b, host: h.Host}
	a.askAll()
	b.ReportMetric(0, "ns/op")
}

// load waits until all clusters are known.
func load(b *testing.B, h *host.Host) {
	b.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	for {
		if _, err := h.Clusters(ctx, api.ClusterQuery{}); err == nil {
			break
		} else if ctx.Err() != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(time.Since(begun).Seconds(), "s/load")
}

// asker asks one registry.
type asker struct {
	b    *testing.B
	host *host.Host
}

func (a *asker) askAll() {
	page := func(q api.ClusterQuery) api.Page[api.Cluster] {
		p, err := a.host.Clusters(a.b.Context(), q)
		if err != nil {
			a.b.Fatal(err)
		}
		return p
	}
	deep, half := api.ClusterQuery{Limit: api.MaxPage}, 0
	var last api.Cluster
	for ; half < largeClusters/2; half += api.MaxPage {
		p := page(deep)
		deep.Cursor, last = p.Next, p.Items[0]
	}
	nodes, err := a.host.Nodes(a.b.Context(), "", api.MaxPage)
	if err != nil {
		a.b.Fatal(err)
	}
	a.time("first-page", func() { page(api.ClusterQuery{}) })
	a.time("deep-page", func() { page(deep) })
	a.time("by-name", func() { page(api.ClusterQuery{Order: api.OrderName, Limit: api.MaxPage}) })
	a.time("by-state", func() { page(api.ClusterQuery{State: api.StateFull}) })
	a.time("search-many", func() { page(api.ClusterQuery{Match: "cluster-1"}) })
	a.time("search-one", func() { page(api.ClusterQuery{Match: "cluster-49999"}) })
	a.time("search-none", func() { page(api.ClusterQuery{Match: "nothing"}) })
	a.time("cluster", func() {
		if d, err := a.host.Cluster(a.b.Context(), last.ID); err != nil || len(d.Seats) != largeSize {
			a.b.Fatal(d, err)
		}
	})
	a.time("nodes", func() {
		if _, err := a.host.Nodes(a.b.Context(), "", api.DefaultPage); err != nil {
			a.b.Fatal(err)
		}
	})
	a.time("deep-nodes", func() {
		if _, err := a.host.Nodes(a.b.Context(), nodes.Items[len(nodes.Items)-1].ID[:2]+strings.Repeat("f", 62), api.MaxPage); err != nil {
			a.b.Fatal(err)
		}
	})
}

// time reports how long an answer takes in the median, but for the first, which may have to
// read from the disk.
func (a *asker) time(what string, f func()) {
	f()
	took := make([]time.Duration, rounds)
	for i := range took {
		begun := time.Now()
		f()
		took[i] = time.Since(begun)
	}
	a.b.ReportMetric(ms(took), "ms/"+what)
}
