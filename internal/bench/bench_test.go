package bench_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/store/memory"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		runChild()
		return
	}
	os.Exit(m.Run())
}

// nodes returns n nodes with keys, certificates and token signatures made.
func nodes(tb testing.TB, n int) []*identity.Node {
	tb.Helper()
	list := make([]*identity.Node, n)
	var group errgroup.Group
	group.SetLimit(2)
	for i := range list {
		group.Go(func() (err error) {
			list[i], err = identity.NewNode(identity.Options{
				Name:      xlreg.Name(fmt.Sprintf("m%d", i)),
				Endpoints: []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", 20000+i))},
			})
			if err != nil {
				return err
			}
			_, _, err = list[i].Token(xlreg.Protocol20, "", time.Now())
			return err
		})
	}
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
	return list
}

// startHost serves a registry in memory until the benchmark ends.
func startHost(tb testing.TB, node *identity.Node) *host.Host {
	tb.Helper()
	st := memory.New()
	h, err := host.Open(host.Config{Node: node, Store: st, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		if err := h.Serve(ctx); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		stop()
		served.Wait()
		h.Close()
		st.Close()
	})
	return h
}

func median[T int64 | float64 | time.Duration](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
