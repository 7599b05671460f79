package client_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

// TestFormOverASlowLine forms clusters whose members share one line, with all limits as
// they are by default: 32 members over 64 kbit/s, of which each gets 250 bytes a second.
func TestFormOverASlowLine(t *testing.T) {
	for _, p := range []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19} {
		for _, progress := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, progress: %v", p, progress), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const n, rate = 32, 8 << 10 // bytes a second
					net := newNetwork(t)
					up, down := make(chan struct{}, 1), make(chan struct{}, 1)
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					var again sync.Map
					var g errgroup.Group
					for i := range n {
						c := net.cable()
						c.chunk = 512
						c.filters = func() (filter, filter) { return share(up, rate), share(down, rate) }
						g.Go(func() error {
							return c.formOn(ctx, p, i, n, func(o *client.FormOptions) {
								if progress {
									o.Progress = func(p client.Progress) {
										if p.Err != nil {
											again.Store(i, p.Err)
										}
									}
								}
							})
						})
					}
					if err := g.Wait(); err != nil {
						t.Error(err)
					}
					t.Logf("complete after %v", time.Since(start))
					again.Range(func(i, err any) bool {
						t.Errorf("m%v had to try again: %v", i, err)
						return false
					})
				})
			})
		}
	}
}

// share is a line's part of a line that all share.
func share(line chan struct{}, rate int) filter {
	return func(b []byte) ([]byte, bool) {
		line <- struct{}{}
		elapse(time.Duration(len(b)) * time.Second / time.Duration(rate))
		<-line
		return b, false
	}
}
