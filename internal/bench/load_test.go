package bench_test

import (
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
)

// Every measurement works on every carrier and store, and finds what it measures.
func TestLoad(t *testing.T) {
	all := must[[]*identity.Node](t)(few())
	for _, store := range []string{bench.Memory, bench.Bbolt} {
		process := start(t, all[3].Keys(), store)
		for _, p := range protocols {
			t.Run(store+" "+p.String(), func(t *testing.T) {
				testLoad(t, &bench.Load{Registry: process.Registry, Process: process, Protocol: p, Nodes: all[:3]})
			})
		}
	}
}

func testLoad(t *testing.T, l *bench.Load) {
	name := func(what string) xlreg.Name { return xlreg.Name(what + "-" + l.Protocol.String()) }
	sample := must[bench.Sample](t)
	checkSample(t, sample(l.Form(t.Context(), name("form"))), 1)
	checkLeft(t, l, name("form"))
	checkSample(t, sample(l.Sessions(t.Context(), 20)), 20)
	if err := l.Fill(t.Context(), name("full")); err != nil {
		t.Fatal(err)
	}
	checkSample(t, sample(l.Members(t.Context(), name("full"), 10)), 10)
	for _, cluster := range []xlreg.Name{"", name("wait")} {
		c := l.NewCrowd(20, cluster)
		defer c.Close()
		s := sample(c.Open(t.Context()))
		checkSample(t, s, 20)
		all := must[int64](t)(l.Process.Memory())
		if s.Memory*20 > all*3/4 { // so few hold less than the registry itself
			t.Errorf("%d bytes each, of %d in all", s.Memory, all)
		}
		if cluster != "" {
			checkSample(t, sample(c.Answer(t.Context())), 20)
		}
	}
}

// checkLeft sees that members leave a cluster where they can.
func checkLeft(t *testing.T, l *bench.Load, cluster xlreg.Name) {
	t.Helper()
	if err := l.Leave(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	c := must[*client.Client](t)(client.Dial(t.Context(), l.Target, client.Options{}))
	defer c.Close()
	roster := must[*client.Roster](t)(c.Members(t.Context(), xlreg.ClusterRef{Name: cluster}))
	want := 0
	if l.Protocol.Classic() {
		want = len(l.Nodes)
	}
	if len(roster.Members) != want {
		t.Errorf("%d members are left over %v, want %d", len(roster.Members), l.Protocol, want)
	}
}

func checkSample(t *testing.T, s bench.Sample, n int) {
	t.Helper()
	if len(s.Latencies) != n || slices.Min(s.Latencies) <= 0 || slices.Max(s.Latencies) > s.Took {
		t.Errorf("latencies %v in %v, want %d", s.Latencies, s.Took, n)
	}
	if s.Client <= 0 || s.Server <= 0 || s.Took > time.Minute {
		t.Errorf("processor time %v of clients and %v of the server in %v", s.Client, s.Server, s.Took)
	}
}

// Of a registry that is somebody else's only this side is known.
func TestLoadOfAnother(t *testing.T) {
	all := must[[]*identity.Node](t)(few())
	process := start(t, all[2].Keys(), bench.Memory)
	l := &bench.Load{Registry: process.Registry, Protocol: xlreg.Protocol20, Nodes: all[:2]}
	c := l.NewCrowd(3, "wait")
	defer c.Close()
	s := must[bench.Sample](t)(c.Open(t.Context()))
	if s.Server >= 0 || s.Memory >= 0 || s.Client <= 0 {
		t.Errorf("sample %+v", s)
	}
	if s = must[bench.Sample](t)(c.Answer(t.Context())); s.Server >= 0 || s.Memory >= 0 || len(s.Latencies) != 3 {
		t.Errorf("sample %+v", s)
	}
}
