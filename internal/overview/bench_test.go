package overview_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/overview"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// BenchmarkChange takes in one more member of one of 50,000 clusters: what each Join costs
// besides.
func BenchmarkChange(b *testing.B) {
	const clusters = 50_000
	st := memory.New()
	defer st.Close()
	w := &world{}
	changes := make([]store.Change, clusters)
	for i := range changes {
		c := w.cluster(fmt.Sprint("cluster-", i), 20, start.Add(time.Duration(i)*time.Second))
		c.Taken = c.Taken.With(0)
		changes[i] = put(b, st, c)
	}
	before := heap()
	o := overview.New(overview.Config{Store: st})
	defer o.Close()
	for {
		if _, err := o.List(b.Context(), api.ClusterQuery{}); err == nil {
			break
		}
	}
	known := float64(heap()-before) / clusters
	for i := range changes {
		c, _, err := records.ChangedCluster(changes[i])
		if err != nil {
			b.Fatal(err)
		}
		c.State.Revision++
		c.Taken = c.Taken.With(1)
		changes[i] = put(b, st, &c)
	}
	o.Close() // and so nothing else takes them in
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if err := o.Changed(context.Background(), changes[i%clusters]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(known, "bytes/cluster")
}

// put keeps a cluster and returns the change that this is.
func put(b *testing.B, st store.Store, c *records.Cluster) (made store.Change) {
	b.Helper()
	err := st.Update(b.Context(), func(tx store.Writer) error {
		if err := records.NewWriter(tx).PutCluster(c); err != nil {
			return err
		}
		made = store.Change{Key: key(c)}
		value, err := tx.Get(made.Key)
		made.Value = value
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// key is that of a cluster's head, as package records has it.
func key(c *records.Cluster) string {
	return records.Clusters + string([]byte{byte(len(c.ID))}) + string(c.ID)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
