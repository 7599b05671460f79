package client_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/ticket"
)

// The largest cluster there is is read whole, and news of it are as short as what is new.
func TestTheLargestCluster(t *testing.T) {
	t.Parallel()
	const size = xlreg.MaxClusterSize
	f := newFake(t, xlreg.Protocol20)
	f.roster.Cluster.MaxSize = size
	for i := range size {
		n := must[*identity.Node](t)(identity.NewNode(identity.Options{Name: xlreg.Name(fmt.Sprintf("m%d", i)), Kind: keys.P256}))
		f.addNode(n)
	}
	c := f.dial(nil)
	r := must[*client.Roster](t)(c.Wait(t.Context(), clusterC, 0))
	if len(r.Members) != size || r.ByIndex(size-1).Token.Name != "m1023" || !r.Members[700].Verified {
		t.Fatalf("%d members", len(r.Members))
	}
}

// A cluster of more than 64 with a real registry, one of whose members leaves.
func TestMoreThanClassicClustersHave(t *testing.T) {
	t.Parallel()
	const size = 70
	r := start(t, "127.0.0.1:0", memory.New())
	to := must[*ticket.Ticket](t)(ticket.NewOwner(r.target(), "large", size, 1))
	ctx := patient(t)
	members := make([]*client.Membership, size)
	var g errgroup.Group
	for i := range members {
		o := client.FormOptions{
			Options:   client.Options{Node: member(t, i)},
			Advertise: []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", 5000+i))},
		}
		g.Go(func() (err error) {
			members[i], err = client.Form(ctx, to, o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, m := range members {
		if got := m.Roster(); got.Sum != members[0].Roster().Sum || len(got.Members) != size {
			t.Fatalf("member %d sees %d members", i, len(got.Members))
		}
	}
	watch := watching(t, members[0].Watch(ctx))
	if err := members[69].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	watch.want("-m69")
}
