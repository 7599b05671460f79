package xlregtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
)

// formTime bounds the forming of a cluster, which takes far less than a second.
const formTime = time.Minute

// Membership is the place of one node of the test in a cluster that is complete: what
// client.Form gives a real node, with its listeners.
type Membership struct {
	*client.Membership

	// Listeners are the member's endpoints, in order: open, on 127.0.0.1, and
	// closed when the test ends. They are plain TCP. For TLS with the other members
	// put one into tls.NewListener, with TLS, or into Membership.Listen, whose
	// connections tell which member they are from; Membership.Dial reaches it.
	Listeners []net.Listener

	// TLS is the member's configuration for mutual TLS with the others, for either
	// end; Clone it before changing it. It is nil without protocol 2.0.
	TLS *tls.Config
}

// Cluster returns the n members of a new cluster, 2 to 1024, or to 64 over a classic
// protocol. They are named m0, m1 and so on, in this order; their indexes are as they came
// to join, as they are in any cluster.
//
// Without WithRegistry the cluster is alone in its registry, as far as a test can tell.
// Everything ends with the test.
func Cluster(t testing.TB, n int, opts ...Option) []*Membership {
	t.Helper()
	o := collect(opts)
	if err := o.check(n); err != nil {
		t.Fatalf("xlregtest: cluster of %d: %v", n, err)
	}
	if o.registry == nil {
		o.registry = ownRegistry(t, o)
	}
	if o.name == "" {
		o.name = o.registry.clusterName()
	}
	nodes, err := newNodes(n, o.kind(o.registry.protocol))
	if err != nil {
		t.Fatalf("xlregtest: cluster of %d: %v", n, err)
	}
	members, err := form(t, nodes, o)
	if err != nil {
		t.Fatalf("xlregtest: cluster of %d: %v", n, err)
	}
	return members
}

// ownRegistry returns a registry that no other test has a part in, as far as one could tell:
// clusters of names that the registry makes up do not meet.
func ownRegistry(t testing.TB, o *options) *Registry {
	t.Helper()
	if o.name == "" && !o.ofRegistry {
		r, err := common.use(t)
		if err != nil {
			t.Fatalf("xlregtest: start registry: %v", err)
		}
		return r
	}
	set, err := registryKeys.share()
	if err != nil {
		t.Fatalf("xlregtest: start registry: %v", err)
	}
	return start(t, o, set)
}

func (o *options) check(n int) error {
	most := xlreg.MaxClusterSize
	if o.protocol().Classic() || o.registry != nil && o.registry.protocol.Classic() {
		most = xlreg.MaxClassicClusterSize
	}
	if n < xlreg.MinClusterSize || n > most {
		return fmt.Errorf("want %d to %d members", xlreg.MinClusterSize, most)
	}
	if o.endpoints < 1 || o.endpoints > xlreg.MaxEndpoints {
		return fmt.Errorf("%d endpoints for each member: want 1 to %d", o.endpoints, xlreg.MaxEndpoints)
	}
	if o.registry != nil && o.ofRegistry {
		return errors.New("WithRegistry brings one that runs, whose protocols and logger stay as they are")
	}
	return nil
}

// newNodes makes n nodes, m0 and on.
func newNodes(n int, kind keys.Kind) ([]*identity.Node, error) {
	nodes := make([]*identity.Node, n)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range nodes {
		group.Go(func() (err error) {
			nodes[i], err = newNode(xlreg.Name(fmt.Sprintf("m%d", i)), kind)
			return err
		})
	}
	return nodes, group.Wait()
}

// form lets every node form the cluster on its own, as real ones do.
func form(t testing.TB, nodes []*identity.Node, o *options) ([]*Membership, error) {
	t.Helper()
	members := make([]*Membership, len(nodes))
	for i := range members {
		members[i] = &Membership{Listeners: listen(t, o.endpoints)}
	}
	ctx, cancel := context.WithTimeout(t.Context(), formTime)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for i, m := range members {
		group.Go(func() (err error) {
			m.Membership, err = client.Form(ctx, o.registry.target, client.FormOptions{
				Options:       client.Options{Node: nodes[i], Protocol: o.registry.protocol},
				Cluster:       xlreg.ClusterRef{Name: o.name},
				Size:          len(members),
				EndpointCount: o.endpoints,
				Listeners:     m.Listeners,
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return members, addTLS(members, o.registry.protocol)
}

// addTLS sets what members have over 2.0 only.
func addTLS(members []*Membership, p xlreg.Protocol) (err error) {
	if p.Classic() {
		return nil
	}
	for _, m := range members {
		if m.TLS, err = m.TLSConfig(); err != nil {
			return err
		}
	}
	return nil
}

// listen opens n ports until the test ends.
func listen(t testing.TB, n int) []net.Listener {
	t.Helper()
	listeners := make([]net.Listener, n)
	for i := range listeners {
		l, err := net.Listen("tcp", anyPort)
		if err != nil {
			t.Fatalf("xlregtest: %v", err)
		}
		t.Cleanup(func() { l.Close() })
		listeners[i] = l
	}
	return listeners
}
