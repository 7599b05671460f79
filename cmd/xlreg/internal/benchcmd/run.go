package benchcmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

const (
	sessionsEachRun = 100
	readsEachRun    = 400
	registryBits    = 2048
)

// bencher is one bench under way.
type bencher struct {
	*benchOptions
	g        *cli.Globals
	line     *cli.StatusLine
	nodes    []*identity.Node // the members
	registry *keys.Set        // of those that run along, and the measure of the machine: RSA-2048
	target   *regcred.Target  // of a registry that was named; nil: one runs along
	command  bench.Command
	dir      string // for the data of registries that run along
	started  int    // how many of those there were
	clusters int    // how many have been named
	prefix   string // of their names
	out      *report
}

// measure measures, and tells what it finds.
func measure(ctx context.Context, g *cli.Globals, o *benchOptions) (err error) {
	b := &bencher{benchOptions: o, g: g, prefix: "bench-" + rand.Text()[:8]}
	if g.Registry != "" {
		if b.target, err = g.Target(); err != nil {
			return err
		}
	}
	if b.command, err = serverProcess(g); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(o.dir, "xlreg-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }() // what cannot be removed does no harm
	if err := b.makeKeys(ctx); err != nil {
		return err
	}
	if err := b.all(ctx); err != nil {
		return errors.Join(ctx.Err(), err) // which of them ended is only where that happened
	}
	return b.out.end()
}

// makeKeys makes the members, and the keys of the registry.
func (b *bencher) makeKeys(ctx context.Context) error {
	n := xlreg.MinClusterSize
	if slices.Contains(b.kinds, ofFormation) || slices.Contains(b.kinds, ofMembers) {
		n = slices.Max(b.sizes)
	}
	kind, bits, err := keys.ParseChoice(b.key)
	if err != nil {
		return err
	}
	line := cli.NewStatusLine(b.g.Console)
	defer line.End()
	show := func(made int) { line.Show(fmt.Sprintf("making keys: %d of %d", made, n+1)) }
	show(0)
	b.nodes, err = cli.Interruptible(ctx, func() ([]*identity.Node, error) { return bench.NewNodesOfKind(ctx, n, kind, bits, show) })
	if err == nil {
		b.registry, err = cli.Interruptible(ctx, func() (*keys.Set, error) { return keys.Generate(keys.RSA, registryBits) })
	}
	return err
}

// all measures what was asked for.
func (b *bencher) all(ctx context.Context) error {
	b.line = cli.NewStatusLine(b.g.Console)
	defer b.line.End()
	var err error
	if b.out, err = b.newReport(); err != nil {
		return err
	}
	for _, kind := range benchKinds {
		if !slices.Contains(b.kinds, kind) {
			continue
		}
		if err := b.one(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

func (b *bencher) one(ctx context.Context, kind string) error {
	switch kind {
	case ofFormation:
		return b.formations(ctx)
	case ofSessions:
		return b.sessions(ctx)
	case ofMembers:
		return b.members(ctx)
	default:
		return b.connections(ctx)
	}
}

// cluster returns a name that no cluster has.
func (b *bencher) cluster() xlreg.Name {
	b.clusters++
	return xlreg.Name(fmt.Sprintf("%s-%d", b.prefix, b.clusters))
}

// on runs f with the loads on each of the stores, over each carrier; or on the
// registry that was named. The registries that run along do so for f.
func (b *bencher) on(stores []string, f func([]*bench.Load) error) (err error) {
	var processes []*bench.Process
	defer func() {
		for _, p := range processes {
			err = errors.Join(err, p.Close())
		}
	}()
	var loads []*bench.Load
	if b.target != nil {
		r := &bench.Registry{Target: b.target}
		for _, p := range b.protocols {
			loads = append(loads, &bench.Load{Registry: r, Protocol: p, Nodes: b.nodes})
		}
		return f(loads)
	}
	for _, store := range stores {
		process, err := b.start(store)
		if err != nil {
			return err
		}
		processes = append(processes, process)
		for _, p := range b.protocols {
			loads = append(loads, &bench.Load{Registry: process.Registry, Process: process, Protocol: p, Nodes: b.nodes})
		}
	}
	return f(loads)
}

func (b *bencher) start(store string) (*bench.Process, error) {
	b.started++
	dir := filepath.Join(b.dir, fmt.Sprint(b.started))
	return bench.Start(b.command, b.registry, store, dir)
}

// inTurns measures with each load, as often as was asked for, and returns the
// samples of each.
func (b *bencher) inTurns(loads []*bench.Load, what string, measure func(*bench.Load) (bench.Sample, error)) ([][]bench.Sample, error) {
	samples := make([][]bench.Sample, len(loads))
	for run := range b.runs {
		for i, l := range loads {
			b.line.Show(fmt.Sprintf("%s over %v%s: run %d of %d", what, l.Protocol, onStore(l), run+1, b.runs))
			s, err := measure(l)
			if err != nil {
				return nil, fmt.Errorf("%s over %v: %w", what, l.Protocol, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	return samples, nil
}

func onStore(l *bench.Load) string {
	if l.Process == nil {
		return ""
	}
	return " on " + l.Process.Store
}

func (b *bencher) formations(ctx context.Context) error {
	return b.on(b.stores, func(loads []*bench.Load) error {
		for _, size := range b.sizes {
			what := fmt.Sprintf("formation of %d", size)
			samples, err := b.inTurns(ofSize(loads, size), what, func(l *bench.Load) (bench.Sample, error) { return b.form(ctx, l) })
			if err != nil {
				return err
			}
			if err := b.reportAll(ofFormation, size, loads, samples); err != nil {
				return err
			}
		}
		return nil
	})
}

// form forms one cluster, and leaves it again if the registry is not our own.
func (b *bencher) form(ctx context.Context, l *bench.Load) (bench.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cluster := b.cluster()
	s, err := l.Form(ctx, cluster)
	if err != nil || b.target == nil {
		return s, err
	}
	return s, l.Leave(ctx, cluster)
}

// ofSize returns the loads of size members alone.
func ofSize(loads []*bench.Load, size int) []*bench.Load {
	list := make([]*bench.Load, len(loads))
	for i, l := range loads {
		smaller := *l
		smaller.Nodes = l.Nodes[:size]
		list[i] = &smaller
	}
	return list
}

func (b *bencher) sessions(ctx context.Context) error {
	return b.on(b.stores, func(loads []*bench.Load) error {
		samples, err := b.inTurns(loads, ofSessions, func(l *bench.Load) (bench.Sample, error) {
			return l.Sessions(ctx, sessionsEachRun)
		})
		if err != nil {
			return err
		}
		return b.reportAll(ofSessions, 0, loads, samples)
	})
}

func (b *bencher) members(ctx context.Context) error {
	return b.on(b.stores[:1], func(loads []*bench.Load) (err error) {
		size := slices.Max(b.sizes)
		loads = ofSize(loads, size)
		cluster := b.cluster()
		if err := loads[0].Fill(ctx, cluster); err != nil {
			return err
		}
		if b.target != nil {
			defer func() { err = errors.Join(err, loads[0].Leave(ctx, cluster)) }()
		}
		samples, err := b.inTurns(loads, ofMembers, func(l *bench.Load) (bench.Sample, error) {
			return l.Members(ctx, cluster, readsEachRun)
		})
		if err != nil {
			return err
		}
		return b.reportAll(ofMembers, size, loads, samples)
	})
}
