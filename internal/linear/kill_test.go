package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/internal/child"
)

// killed is the crowd for a registry that is killed again and again. Each kill takes
// the answers of all who are just asking, and each of these could have been served or
// not, so there are fewer of them.
var killed = crowd{worlds: 2, clients: 6, requests: 35}

// kills is how often it is killed in one history.
const kills = 4

// TestKills checks histories of a real registry on bolt that is ended by SIGKILL at
// random moments, and started again: what was answered before is there afterwards.
func TestKills(t *testing.T) {
	program, err := child.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seed, n := firstSeed(t), new(counts)
	for i := range uint64(rounds(1, 40)) {
		rec := newRecorder(killed.moments(seed + i)...)
		v := &victim{rec: rec, rnd: rand.New(rand.NewPCG(seed+i, 2)), config: child.Config{
			Program: program, Data: t.TempDir() + "/data",
		}}
		if err := v.suffer(t.Context(), killed, mustNodes(t), seed+i); err != nil {
			t.Fatalf("seed %d: %v", seed+i, err)
		}
		if len(rec.deaths) != kills {
			t.Fatalf("seed %d: %d kills instead of %d", seed+i, len(rec.deaths), kills)
		}
		n.add(rec)
		n.mustFit(t, rec, rules{self: v.registry.Cred().ID}, seed+i)
	}
	n.check(t, []verb{register, logIn, create, join, get})
}

// moments returns after how many requests the registry is to be killed: never before
// a twentieth of them, so that there is something to lose.
func (k crowd) moments(seed uint64) []int {
	all := k.worlds * k.clients * k.requests
	rnd, moments := rand.New(rand.NewPCG(seed, 3)), make([]int, kills)
	for i := range moments {
		moments[i] = all/20 + rnd.IntN(all*9/10)
	}
	slices.Sort(moments)
	return moments
}

// victim is a registry of its own process that is killed.
type victim struct {
	rec      *recorder
	rnd      *rand.Rand
	config   child.Config
	registry *child.Registry
}

// suffer records what the crowd sees while the registry dies and comes back.
func (v *victim) suffer(ctx context.Context, k crowd, all *nodes, seed uint64) (err error) {
	if err := v.start(ctx); err != nil {
		return err
	}
	v.config.Listen = v.registry.Listen()
	to := &target{cred: v.registry.Cred(), dies: true, nodes: all}
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return v.dieAndRise(running) })
	g.Go(func() error {
		defer close(v.rec.trip) // nobody asks any more
		return k.run(running, to, v.rec, seed)
	})
	err = g.Wait()
	return errors.Join(err, v.registry.Kill())
}

// dieAndRise kills the registry at each of the recorder's moments, and a few requests
// later as chance has it.
func (v *victim) dieAndRise(ctx context.Context) error {
	for range v.rec.trip {
		<-time.After(time.Duration(v.rnd.IntN(3000)) * time.Microsecond)
		if err := v.registry.Kill(); err != nil {
			return err
		}
		v.rec.died()
		if err := v.start(ctx); err != nil {
			return fmt.Errorf("start again: %w", err)
		}
	}
	return nil
}

// start starts the registry. The port may be taken for a moment, by a client that
// tried to connect just when nobody listened.
func (v *victim) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		r, err := child.Start(v.config)
		if err == nil {
			v.registry = r
			return nil
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return err
		}
	}
}
