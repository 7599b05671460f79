package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
)

// protocols are the carriers, the present one first.
var protocols = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}

// NewNodes makes n nodes in memory, of new keys, each with one endpoint and with
// its signatures made. Made is told after each how many there are; it may be nil.
func NewNodes(ctx context.Context, n int, made func(int)) ([]*identity.Node, error) {
	return newNodes(ctx, n, made, func(int) (*keys.Set, error) { return nil, nil }) //nolint:nilnil // none is given
}

// NewNodesOfKind makes n nodes as NewNodes does, with keys of a kind and size.
func NewNodesOfKind(ctx context.Context, n int, kind keys.Kind, bits int, made func(int)) ([]*identity.Node, error) {
	return newNodes(ctx, n, made, func(int) (*keys.Set, error) { return keys.Generate(kind, bits) })
}

// NewNodesOf makes a node of each set of keys, as NewNodes does.
func NewNodesOf(ctx context.Context, sets []*keys.Set) ([]*identity.Node, error) {
	return newNodes(ctx, len(sets), nil, func(i int) (*keys.Set, error) { return sets[i], nil })
}

func newNodes(ctx context.Context, n int, made func(int), setOf func(int) (*keys.Set, error)) ([]*identity.Node, error) {
	list := make([]*identity.Node, n)
	var count atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range list {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			set, err := setOf(i)
			if err != nil {
				return err
			}
			if list[i], err = newNode(i, set); err == nil && made != nil {
				made(int(count.Add(1)))
			}
			return err
		})
	}
	return list, group.Wait()
}

// newNode makes a node and everything that takes time when it is first used.
func newNode(i int, set *keys.Set) (*identity.Node, error) {
	node, err := identity.NewNode(identity.Options{
		Name:      xlreg.Name(fmt.Sprintf("m%d", i)),
		Endpoints: []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", 1+i%65535))},
		Keys:      set,
	})
	if err != nil {
		return nil, err
	}
	for _, p := range protocols {
		if node.Keys().Sig.Public().Check(p) != nil {
			continue // classic carriers know RSA alone
		}
		if _, _, err := node.Token(p, "", time.Now()); err != nil {
			return nil, err
		}
	}
	return node, nil
}

// each calls f for every number below n, limit of them at once or, if that is 0,
// all, and returns when the last call has ended. The first error ends ctx.
func each(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	if limit > 0 {
		group.SetLimit(limit)
	}
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}
