package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xlattice/xlreg/internal/bench"
)

// plan is what is to be measured.
type plan struct {
	systems []system // the first is what the others are compared with
	sizes   []int
	rounds  int
	apart   bool
}

// result is what was measured of one system at one size.
type result struct {
	System     string
	Store      string
	Carrier    string
	N          int
	Median     time.Duration
	P90        time.Duration
	CPU        time.Duration // median, of the process with the members
	Ratio      float64       // median of the rounds' ratios of time to the first system
	CPURatio   float64       // the same of CPU
	Took, CPUs []time.Duration
}

// run measures the systems in turn, round after round, so that what else the
// machine does hurts all alike. With an error comes what was measured until then.
func (p *plan) run(ctx context.Context, progress io.Writer) (results []result, err error) {
	t := &troupe{apart: p.apart, progress: progress, members: make(map[string]*child), servers: make(map[string]string)}
	defer func() { err = errors.Join(err, t.close()) }()
	for _, n := range p.sizes {
		costs := make([][]cost, len(p.systems))
		for round := range p.rounds + 1 {
			fmt.Fprintf(progress, "%d members: round %d of %d\n", n, round, p.rounds)
			if err := p.round(ctx, t, round, n, costs); err != nil {
				return append(results, p.summarize(n, costs)...), err
			}
		}
		results = append(results, p.summarize(n, costs)...)
	}
	return results, nil
}

// round measures each system once, beginning with another each time. Round 0
// warms up and does not count.
func (p *plan) round(ctx context.Context, t *troupe, round, n int, costs [][]cost) error {
	for i := range p.systems {
		at := (i + round) % len(p.systems)
		spent, err := t.form(ctx, p.systems[at], n)
		if err != nil {
			return err
		}
		if round > 0 {
			costs[at] = append(costs[at], spent)
		}
	}
	return nil
}

func (p *plan) summarize(n int, costs [][]cost) []result {
	var list []result
	for i, s := range p.systems {
		if len(costs[i]) == 0 {
			break // a run that was ended in its first round
		}
		r := result{System: s.name, Store: s.store, Carrier: s.carrier, N: n}
		for _, c := range costs[i] {
			r.Took = append(r.Took, c.Took)
			r.CPUs = append(r.CPUs, c.CPU)
		}
		r.Median, r.P90, r.CPU = bench.Median(r.Took), bench.Percentile(r.Took, 90), bench.Median(r.CPUs)
		first := r
		if i > 0 {
			first = list[0]
		}
		r.Ratio = bench.Median(bench.Ratios(r.Took, first.Took))
		r.CPURatio = bench.Median(bench.Ratios(r.CPUs, first.CPUs))
		list = append(list, r)
	}
	return list
}

// troupe are the processes. The members of a family share one, with their
// servers unless those are to be apart.
type troupe struct {
	apart    bool
	progress io.Writer
	formed   int
	members  map[string]*child // by family
	servers  map[string]string // where they are, by label; only if they are apart
	others   []*child          // the processes of those
}

func (t *troupe) form(ctx context.Context, s system, n int) (cost, error) {
	where, err := t.server(ctx, s)
	if err != nil {
		return cost{}, err
	}
	c, ok := t.members[s.family()]
	if !ok {
		if c, err = startChild(ctx, t.progress); err != nil {
			return cost{}, err
		}
		t.members[s.family()] = c
	}
	t.formed++
	r, err := c.ask(request{System: s.label(), Cluster: fmt.Sprintf("c%d", t.formed), N: n, Where: where})
	return r.Cost, err
}

// server returns where the system's server is; empty if it is with the members.
func (t *troupe) server(ctx context.Context, s system) (string, error) {
	where, ok := t.servers[s.label()]
	if ok || !t.apart {
		return where, nil
	}
	c, err := startChild(ctx, t.progress)
	if err != nil {
		return "", err
	}
	t.others = append(t.others, c)
	r, err := c.ask(request{System: s.label()})
	t.servers[s.label()] = r.Where
	return r.Where, err
}

func (t *troupe) close() error {
	var errs []error
	for _, c := range t.members {
		errs = append(errs, c.close())
	}
	for _, c := range t.others { // after the members, who are connected to them
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
