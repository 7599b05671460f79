package benchcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/bench"
)

// What a crowd of connections is measured at.
const (
	idle    = "idle"    // opening connections on which nothing follows
	waiting = "waiting" // the same, and each waits for a cluster's members
	answers = "answers" // the rosters that waiting connections get when the last member joins
)

// crowdTime bounds what one crowd does.
const crowdTime = 10 * time.Minute

// connections opens one crowd after the other, each at a registry of its own: memory
// that one crowd left behind would hide what the next one needs.
func (b *bencher) connections(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, crowdTime)
	defer cancel()
	for _, state := range []string{idle, waiting} {
		for i := range b.protocols {
			err := b.on(b.stores[:1], func(loads []*bench.Load) error { return b.crowd(ctx, loads[i], state) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bencher) crowd(ctx context.Context, l *bench.Load, state string) error {
	b.line.Show(fmt.Sprintf("%d %s connections over %v%s", b.benchFlags.connections, state, l.Protocol, onStore(l)))
	var cluster xlreg.Name
	if state == waiting {
		cluster = b.cluster()
	}
	c := l.NewCrowd(b.benchFlags.connections, cluster)
	defer c.Close()
	s, err := c.Open(ctx)
	if err != nil {
		return fmt.Errorf("%s connections over %v: %w", state, l.Protocol, err)
	}
	if err := b.reportOne(state, b.benchFlags.connections, l, []bench.Sample{s}); err != nil || state == idle {
		return err
	}
	if s, err = c.Answer(ctx); err != nil {
		return fmt.Errorf("%s over %v: %w", answers, l.Protocol, err)
	}
	if b.target != nil {
		two := ofSize([]*bench.Load{l}, xlreg.MinClusterSize)[0]
		err = two.Leave(ctx, cluster)
	}
	return errors.Join(err, b.reportOne(answers, b.benchFlags.connections, l, []bench.Sample{s}))
}
