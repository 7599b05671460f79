package client_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/original"
	"github.com/xlattice/xlreg/regcred"
)

// originals are the generations of the original servers, and what to speak with each.
var originals = map[original.Generation]xlreg.Protocol{original.V18: xlreg.Protocol18, original.V19: xlreg.Protocol19}

// originalKey is made once, since that takes longer than a formation.
var originalKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// startOriginal starts a fake of an original server and returns what leads to it.
func startOriginal(t *testing.T, o original.Options) *regcred.Target {
	t.Helper()
	o.Comms, o.Sig = originalKey(), originalKey()
	s, err := original.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return must[*regcred.Target](t)(regcred.NewTarget(must[*xlreg.Credentials](t)(regcred.Parse(s.RegCred()))))
}

func originalOptions(t *testing.T, p xlreg.Protocol, name string) client.FormOptions {
	return client.FormOptions{
		Options: client.Options{Node: newNode(t, name), Protocol: p},
		Cluster: xlreg.ClusterRef{Name: "c"},
	}
}

// formAll forms a cluster of n whose members have the options that each returns.
func formAll(t *testing.T, target *regcred.Target, n int, options func(int) client.FormOptions) []*client.Membership {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	members := make([]*client.Membership, n)
	var group errgroup.Group
	for i := range n {
		o := options(i)
		group.Go(func() (err error) {
			members[i], err = client.Form(ctx, target, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return members
}

// Every size at which the originals do something of their own: 24 tokens are past
// what fits into one message of a client's.
func TestFormOnOriginalServers(t *testing.T) {
	for g, p := range originals {
		for _, n := range []int{2, 3, 16, 24} {
			for _, lose := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%d/lose=%v", p, n, lose), func(t *testing.T) {
					target := startOriginal(t, original.Options{Generation: g, LoseRaces: lose})
					members := formAll(t, target, n, func(i int) client.FormOptions {
						o := originalOptions(t, p, fmt.Sprintf("m%d", i))
						o.Size = n
						return o
					})
					for _, m := range members {
						if r := m.Roster(); len(r.Members) != n || m.Self() == nil || r.Cluster.Name != "c" || r.Cluster.MaxSize != n {
							t.Fatalf("%d members of %+v", len(r.Members), r.Cluster)
						}
					}
				})
			}
		}
	}
}

// A cluster that is there is found by joining it, by name and by ID, and its size
// need not be known. Who is in it can be asked again.
func TestJoinOnOriginalServers(t *testing.T) {
	for g, p := range originals {
		t.Run(p.String(), func(t *testing.T) {
			target := startOriginal(t, original.Options{Generation: g})
			admin := must[*client.Client](t)(client.Dial(t.Context(), target, originalOptions(t, p, "admin").Options))
			defer admin.Close()
			must[xlreg.NodeID](t)(admin.Register(t.Context()))
			cluster := must[xlreg.Cluster](t)(admin.Create(t.Context(), client.CreateOptions{Name: "c", Size: 3}))

			members := formAll(t, target, 3, func(i int) client.FormOptions {
				o := originalOptions(t, p, fmt.Sprintf("m%d", i))
				o.JoinOnly, o.Size = true, []int{0, 3, 0}[i]
				if i == 2 {
					o.Cluster = xlreg.ClusterRef{ID: cluster.ID}
				}
				o.Progress = func(client.Progress) {}
				return o
			})
			r, err := members[0].Refresh(t.Context())
			if err != nil || len(r.Members) != 3 {
				t.Fatalf("refreshed: %+v, %v", r, err)
			}

			o := originalOptions(t, p, "m3")
			o.JoinOnly, o.Size = true, 4
			if _, err := client.Form(t.Context(), target, o); !errors.Is(err, xlreg.ErrClusterSize) {
				t.Errorf("another size: %v", err)
			}
			o.Cluster.Name, o.Size = "other", 0
			if _, err := client.Form(t.Context(), target, o); !errors.Is(err, xlreg.ErrNoSuchClusterName) {
				t.Errorf("no such cluster: %v", err)
			}
		})
	}
}

// In a session the members are asked for by the ID that Join told, however the
// cluster is named.
func TestMembersOnOriginalServers(t *testing.T) {
	target := startOriginal(t, original.Options{Generation: original.V19})
	c := must[*client.Client](t)(client.Dial(t.Context(), target, originalOptions(t, xlreg.Protocol19, "m").Options))
	defer c.Close()
	must[xlreg.NodeID](t)(c.Register(t.Context()))
	cluster := must[xlreg.Cluster](t)(c.Create(t.Context(), client.CreateOptions{Name: "c", Size: 2}))
	must[xlreg.Cluster](t)(c.Join(t.Context(), xlreg.ClusterRef{}))
	for _, ref := range []xlreg.ClusterRef{{ID: cluster.ID}, {Name: "c"}, {}} {
		if r, err := c.Members(t.Context(), ref); err != nil || len(r.Members) != 1 || r.Cluster != cluster {
			t.Fatalf("%+v: %+v, %v", ref, r, err)
		}
	}
}

// Two clusters without a name are two clusters.
func TestUnnamedClustersOnOriginalServers(t *testing.T) {
	for g, p := range originals {
		target := startOriginal(t, original.Options{Generation: g})
		seen := make(map[xlreg.Name]bool)
		for range 2 {
			c := must[*client.Client](t)(client.Dial(t.Context(), target, originalOptions(t, p, "m").Options))
			must[xlreg.NodeID](t)(c.Register(t.Context()))
			cluster, err := c.Create(t.Context(), client.CreateOptions{Size: 2})
			if err != nil || !strings.HasPrefix(string(cluster.Name), "c-") || len(cluster.Name) != 18 || seen[cluster.Name] {
				t.Errorf("%v: %+v, %v", p, cluster, err)
			}
			seen[cluster.Name] = true
			c.Close()
		}
	}
}

// A text that nobody has a kind for is tried again until the time is up, and is what
// the error then shows.
func TestUnknownErrorsOfOriginalServers(t *testing.T) {
	target := startOriginal(t, original.Options{Generation: original.V18})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log strings.Builder
	o := originalOptions(t, xlreg.Protocol18, "m")
	tries := 0
	o.Progress = func(p client.Progress) {
		if tries++; tries == 2 { // it was tried again, and the time is up
			cancel()
		}
	}
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	o.Cluster = xlreg.ClusterRef{ID: xlreg.ClusterID(id("nowhere"))}
	_, err := client.Form(ctx, target, o)
	var incomplete *client.IncompleteError
	if !errors.As(err, &incomplete) || !errors.Is(err, xlreg.ErrTryLater) && !strings.Contains(log.String(), "can't find cluster with ID") {
		t.Fatalf("got %v", err)
	}
}

// A node that comes again is the same member, and a formation goes on with a
// member that is there.
func TestComingAgainOnOriginalServers(t *testing.T) {
	target := startOriginal(t, original.Options{Generation: original.V19})
	var nodes []*identity.Node
	for i := range 2 {
		nodes = append(nodes, newNode(t, fmt.Sprintf("m%d", i)))
	}
	options := func(i int) client.FormOptions {
		o := originalOptions(t, xlreg.Protocol19, "m")
		o.Node, o.Size = nodes[i], 2
		return o
	}
	first := formAll(t, target, 2, options)
	again := formAll(t, target, 2, options)
	for i := range first {
		if first[i].Self().Token.ID != again[i].Self().Token.ID {
			t.Errorf("member %d is another", i)
		}
	}
}
