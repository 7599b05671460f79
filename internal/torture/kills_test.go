package torture

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// Nothing answered is lost: a registry is killed again and again while clients over
// all carriers use it, and each time everything it ever answered is there.
func TestKills(t *testing.T) {
	seed := newSeed(t)
	w := newWorld()
	workers := newWorkers(t, w, either(24, 36), seed)
	p := newProcess(t, t.TempDir(), nil)
	rnd := rand.New(rand.NewPCG(seed, 1<<32))
	for range either(6, 100) {
		killDuring(t, p, workers, new(round), time.Duration(50+rnd.IntN(600))*time.Millisecond)
		w.check(t)
		p.start(t)
		w.compare(t, p.target(t))
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	w.audit(t, p.file())
	t.Log(w)
}

// killDuring has the workers work, and kills the registry after a while.
func killDuring(t *testing.T, p *process, workers []*worker, in *round, after time.Duration) {
	t.Helper()
	in.target = p.target(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	killing := time.AfterFunc(after, func() {
		in.killed.Store(true)
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		cancel() // only now: what has no answer yet will never have one
	})
	defer killing.Stop()
	work(ctx, in, workers)
	<-ctx.Done()
}
