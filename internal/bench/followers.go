package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// What changes while others follow: so many clusters, one after the other, some of them
// every now and then.
const (
	changing    = 1000
	changeEvery = 10 * time.Millisecond
)

// followers follow all changes of a registry, in its process, while clusters change.
type followers struct {
	stop func()
	done sync.WaitGroup
}

// follow begins with n followers of so many changes a second, and returns when all of them
// follow.
func follow(h *host.Host, st store.Store, clusters []records.Cluster, n, rate int) *followers {
	ctx, stop := context.WithCancel(context.Background())
	f := &followers{stop: stop}
	var beginning sync.WaitGroup
	for range n {
		beginning.Add(1)
		begun := sync.OnceFunc(beginning.Done)
		f.done.Go(func() {
			defer begun()
			_ = h.Follow(ctx, "", func(bool, []api.Change) error { // until it is stopped
				begun()
				return nil
			})
		})
	}
	beginning.Wait()
	f.done.Go(func() { change(ctx, st, clusters, rate) })
	return f
}

func (f *followers) close() {
	f.stop()
	f.done.Wait()
}

func putChanging(st store.Store) ([]records.Cluster, error) {
	all := make([]records.Cluster, changing)
	now := time.Now()
	for i := range all {
		all[i] = records.Cluster{
			Cluster: xlreg.Cluster{
				ID:   xlreg.ClusterID(fmt.Sprintf("%0*d", xlreg.LongIDLen, now.UnixNano()+int64(i))),
				Name: xlreg.Name(fmt.Sprintf("changing-%d-%d", now.UnixNano(), i)), MaxSize: 16, EndpointCount: 1,
			},
			State: xlreg.ClusterState{Epoch: 1, Revision: 1}, Created: now, Touched: records.Day(now),
		}
		err := st.Update(context.Background(), func(tx store.Writer) error { return records.NewWriter(tx).AddCluster(&all[i]) })
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// change lets seats be taken and become free again, until ctx ends.
func change(ctx context.Context, st store.Store, clusters []records.Cluster, rate int) {
	ticker := time.NewTicker(changeEvery)
	defer ticker.Stop()
	each, next := rate*int(changeEvery)/int(time.Second), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for range each {
			c := &clusters[next%len(clusters)]
			next++
			c.State.Revision++
			if c.Taken.Has(0) {
				c.Taken = c.Taken.Without(0)
			} else {
				c.Taken = c.Taken.With(0)
			}
			err := st.Update(ctx, func(tx store.Writer) error { return records.NewWriter(tx).PutCluster(c) })
			if err != nil {
				return
			}
		}
	}
}
