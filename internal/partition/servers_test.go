//go:build linux

package partition

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/regcred"
)

// secondAddr is where the second server of a registry is, on the second machine.
const secondAddr = "10.78.0.3"

// startSecond runs a second server of the registry, on the same store, and has the target
// lead to both.
func (w *world) startSecond() *host.Host {
	w.t.Helper()
	w.in(w.machines[1], "ip", "addr", "add", secondAddr+"/32", "dev", "eth0")
	w.in(w.router, "ip", "route", "replace", secondAddr, "dev", w.machineInterface[1])
	var second *host.Host
	err := within(w.machines[1], func() (err error) {
		second, err = host.Open(host.Config{Node: w.node, Store: w.store, Listen: []string{secondAddr + ":7700"}})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- second.Serve(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, second.Close()); err != nil {
			w.t.Error(err)
		}
	})
	cred := *w.running.Cred()
	cred.Endpoints = []xlreg.Endpoint{registryAddr + ":7700", secondAddr + ":7700"}
	w.target = must[*regcred.Target](w.t)(regcred.NewTarget(&cred))
	return second
}

// vanish takes the first machine away: what is sent to it or comes from it is lost without a
// word.
func (w *world) vanish() {
	w.t.Helper()
	w.in(w.router, "ip", "rule", "add", "pref", "1", "iif", w.machineInterface[0], "blackhole")
	w.in(w.router, "ip", "route", "replace", "blackhole", registryAddr)
}

// A server whose machine is gone without a word is taken for gone after the silence that
// clients allow, and they wait elsewhere. In the short form that is a tenth.
func TestAMachineIsGone(t *testing.T) {
	limits, most, at := client.Limits{Silence: 30 * time.Second / 10}, 25*time.Second, 100*time.Millisecond
	if long() {
		limits, most, at = client.Limits{}, goal, 6*time.Second // the second request of a wait is the longest
	}
	t.Parallel()
	w := newWorld(t)
	second := w.startSecond()
	w.shuffle = func(int, func(i, j int)) {} // all come to the first
	var g errgroup.Group
	n := len(protocols) + 1
	for i, p := range protocols {
		g.Go(func() error { return w.form(p, i, n, limits) })
	}
	w.until(func() bool { return w.running.Stats().Waiting == len(protocols) })
	elapse(at)
	w.vanish()
	gone := time.Now()
	w.until(func() bool { return second.Stats().Waiting == len(protocols) })
	took := time.Since(gone)
	t.Logf("all wait at the other server after %v", took)
	if took > most {
		t.Errorf("all wait at the other server after %v", took)
	}
	g.Go(func() error { return w.form(xlreg.Protocol20, n-1, n, limits) })
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
