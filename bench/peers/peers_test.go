package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// The processes that a run starts are this program again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		main()
		return
	}
	os.Exit(m.Run())
}

// Every system forms clusters, one after the other at the same server.
func TestForm(t *testing.T) {
	a := newAnswerer(t)
	for _, s := range a.systems {
		t.Run(s.label(), func(t *testing.T) {
			for _, cluster := range []string{"a", "b"} {
				r, err := a.answer(t.Context(), request{System: s.label(), Cluster: cluster, N: 3})
				if err != nil {
					t.Fatal(err)
				}
				if r.Cost.Took <= 0 || r.Cost.CPU <= 0 {
					t.Errorf("cost %+v", r.Cost)
				}
			}
		})
	}
}

func newAnswerer(tb testing.TB) *answerer {
	a := &answerer{systems: newSystems(io.Discard), servers: make(map[string]server)}
	tb.Cleanup(func() {
		if err := a.close(); err != nil {
			tb.Error(err)
		}
	})
	return a
}

// Whoever is not told of everybody must not believe so.
func TestOneMissing(t *testing.T) {
	a := newAnswerer(t)
	own := func(int) netip.Addr { return netip.MustParseAddr("127.0.0.1") }
	for label, join := range map[string]func(where string, n int) member{
		"etcd (disk)": func(where string, n int) member { return etcdMember(where, "c", n) },
		"discovery-service, one address (memory)": func(where string, n int) member { return discoveryMember(where, "c", n, own) },
		"memberlist, local (none)":                func(_ string, n int) member { return memberlistMember(memberlist.DefaultLocalConfig, n) },
	} {
		t.Run(label, func(t *testing.T) {
			r, err := a.answer(t.Context(), request{System: label})
			if err != nil {
				t.Fatal(err)
			}
			const patience = 2 * time.Second
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			begun := time.Now()
			_, err = formAll(ctx, 2, join(r.Where, 3))
			if waited := time.Since(begun); err == nil || waited < patience*9/10 { // a server may be a little ahead
				t.Errorf("two of three, after %v: %v", waited, err)
			}
		})
	}
}

// A whole run, with processes and all, with the servers beside the members and apart.
func TestRun(t *testing.T) {
	for _, apart := range []string{"--apart=false", "--apart"} {
		var out, progress bytes.Buffer
		args := []string{"--n", "3,4", "--rounds", "2", "--only", "etcd,LAN", "--json", apart}
		if err := run(t.Context(), args, nil, &out, &progress); err != nil {
			t.Fatalf("%v; %s", err, &progress)
		}
		var results []result
		if err := json.Unmarshal(out.Bytes(), &results); err != nil {
			t.Fatal(err)
		}
		if len(results) != 2*4 {
			t.Fatalf("%d results: %s", len(results), &out)
		}
		for i, r := range results {
			if len(r.Took) != 2 || r.Median <= 0 || r.P90 < slices.Min(r.Took) || r.Ratio <= 0 || r.CPURatio <= 0 || r.N != 3+i/4 {
				t.Errorf("result %+v", r)
			}
		}
	}
}

func TestSummarize(t *testing.T) {
	p := &plan{systems: []system{{name: "a"}, {name: "b"}}}
	of := func(list ...time.Duration) (costs []cost) {
		for _, d := range list {
			costs = append(costs, cost{Took: d, CPU: 2 * d})
		}
		return costs
	}
	got := p.summarize(8, [][]cost{of(10, 20, 100), of(30, 40, 50)})
	if got[0].Ratio != 1 || got[0].Median != 20 || got[0].P90 != 100 || got[0].CPU != 40 {
		t.Errorf("a: %+v", got[0])
	}
	if got[1].Ratio != 2 || got[1].CPURatio != 2 || got[1].Median != 40 {
		t.Errorf("b: %+v, want the median of the ratios 3, 2 and 0.5", got[1])
	}
}

// A run may end before every system had a turn.
func TestSummarizeUnfinished(t *testing.T) {
	p := &plan{systems: []system{{name: "a"}, {name: "b"}}}
	if got := p.summarize(8, [][]cost{{{Took: 10, CPU: 10}}, nil}); len(got) != 1 || got[0].Ratio != 1 {
		t.Errorf("got %+v", got)
	}
	if got := p.summarize(8, make([][]cost, 2)); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestPrint(t *testing.T) {
	results := []result{{System: "x", Store: "s", Carrier: "c", N: 8, Median: 1500 * time.Microsecond, Ratio: 1, Took: make([]time.Duration, 9)}}
	for format, want := range map[string]string{
		"table":    "x       s      c              8  1.5",
		"markdown": "| x | s | c | 8 | 1.5 | 0.0 | 1.00 | 0.0 | 0.00 |\n",
		"json":     `"Median": 1500000`,
	} {
		var out strings.Builder
		if err := printers[format](&out, results); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v\n%s", format, err, &out)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range []string{"--n 1", "--n 65", "--n 3,", "--rounds 0", "--format xml", "more"} {
		if _, _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
	if p, _, err := parse([]string{"--only", "memberlist"}, io.Discard); err != nil || len(p.systems) != 3 {
		t.Errorf("ours and memberlist's two: %+v, %v", p, err)
	}
}

// What goes wrong where the work is done is told where it was wanted.
func TestChildFails(t *testing.T) {
	c, err := startChild(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ask(request{System: "none"}); err == nil || !strings.Contains(err.Error(), `no system "none"`) {
		t.Errorf("got %v", err)
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
	if _, err := c.ask(request{System: "none"}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("an ended process: %v", err)
	}
}

// BenchmarkForm is for profiles of one system, without what comes before: see
// docs/performance.md.
func BenchmarkForm(b *testing.B) {
	a := newAnswerer(b)
	ctx := b.Context() // the servers live longer than one of the benchmarks below
	for _, s := range a.systems {
		b.Run(s.label(), func(b *testing.B) {
			var took, cpu time.Duration
			for i := range b.N {
				r, err := a.answer(ctx, request{System: s.label(), Cluster: clusterName(b.N, i), N: maxSize})
				if err != nil {
					b.Fatal(err)
				}
				took += r.Cost.Took
				cpu += r.Cost.CPU
			}
			b.ReportMetric(took.Seconds()*1000/float64(b.N), "ms/formation")
			b.ReportMetric(cpu.Seconds()*1000/float64(b.N), "cpu-ms/formation")
			b.ReportMetric(0, "ns/op") // counts what comes before as well
		})
	}
}

func clusterName(round, i int) string { return fmt.Sprintf("n%d-%d", round, i) }
