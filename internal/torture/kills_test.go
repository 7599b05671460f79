package torture

import (
	"context"
	"math/rand/v2"
	"testing"
)

// Nothing answered is lost: a registry is killed again and again while clients over
// all carriers use it, and each time everything it ever answered is there.
func TestKills(t *testing.T) {
	alongside(t)
	seed := newSeed(t)
	w := newWorld()
	workers := newWorkers(t, w, either(24, 36), seed)
	p := newProcess(t, t.TempDir(), nil)
	rnd := rand.New(rand.NewPCG(seed, 1<<32))
	for i := range either(5, 100) {
		killDuring(t, p, workers, new(round), rnd.IntN(either(100, 300)))
		w.check(t)
		p.start(t)
		w.compare(t, p.target(t))
		if i%10 == 9 {
			t.Logf("after %d kills: %v", i+1, w)
		}
	}
	must(t, p.Stop())
	w.audit(t, p.file())
	t.Log(w)
}

// killDuring has the workers work, and kills the registry once it has answered so
// often, whatever it is doing then.
func killDuring(t *testing.T, p *process, workers []*worker, in *round, answers int) {
	t.Helper()
	w := workers[0].world
	in.target = p.target(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx, in, workers)
	}()
	enough := w.answers() + answers
	until(t, "enough is answered", func() bool { return w.answers() > enough || w.failed() })
	in.killed.Store(true)
	must(t, p.Kill())
	cancel() // only now: what has no answer yet will never have one
	<-done
}
