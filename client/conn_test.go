package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/xlregtest"
)

// tellNames tells the next n who connect which members they are taken for.
func tellNames(l net.Listener, n int) error {
	for range n {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(nc, nc.(*client.Conn).Member().Token.Name)
		if err := errors.Join(err, nc.Close()); err != nil {
			return err
		}
	}
	return nil
}

func TestMembersDialEachOther(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b", "c", "d")
	var g errgroup.Group
	for _, m := range members {
		l := m.listenOn(t, m.port)
		g.Go(func() error { return tellNames(l, 2*(len(members)-1)) })
	}
	for _, from := range members {
		for _, to := range members {
			byName, nameErr := from.Dial(t.Context(), to.name())
			byID, idErr := from.DialID(t.Context(), to.Self().Token.ID)
			if from == to {
				wantRefused(t, "itself by name", nameErr, "it is this node")
				wantRefused(t, "itself by ID", idErr, "it is this node")
				continue
			}
			if err := errors.Join(nameErr, idErr); err != nil {
				t.Fatalf("%s to %s: %v", from.name(), to.name(), err)
			}
			checkEnds(t, byName, from, to)
			checkEnds(t, byID, from, to)
		}
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func checkEnds(t *testing.T, c *client.Conn, from, to *tlsMember) {
	t.Helper()
	defer c.Close()
	if c.Member() != from.Roster().ByName(to.name()) {
		t.Errorf("%s reached %q instead of %q", from.name(), c.Member().Token.Name, to.name())
	}
	if said, err := io.ReadAll(c); err != nil || xlreg.Name(said) != from.name() {
		t.Errorf("%s takes %s for %q, %v", to.name(), from.name(), said, err)
	}
}

// That somebody else answers at an address is no proof, not even another member.
func TestDialReachesTheMemberOrNobody(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b", "c")
	a, b, c := members[0], members[1], members[2]
	c.listenOn(t, b.port)
	_, err := a.Dial(t.Context(), "b")
	wantRefused(t, "a member at another's address", err, `it is "c"`)
	_, err = a.DialID(t.Context(), b.Self().Token.ID)
	wantRefused(t, "the same by ID", err, `it is "c"`)
	_, err = a.Roster().Dial(t.Context(), "b", nil)
	wantRefused(t, "the same for a client of the cluster", err, `it is "c"`)

	stranger := tls.NewListener(c.port, lax(fresh(t, xlregtest.Node(t, "c"), a.clock.now())))
	var serving sync.WaitGroup
	serving.Go(func() {
		if nc, err := stranger.Accept(); err == nil {
			_ = nc.(*tls.Conn).Handshake()
			nc.Close()
		}
	})
	_, err = a.Dial(t.Context(), "c")
	wantRefused(t, "a stranger at a member's address", err, "no member")
	serving.Wait()

	if _, err := a.Dial(t.Context(), "d"); !errors.Is(err, xlreg.ErrNotMember) || !strings.Contains(err.Error(), `dial member "d"`) {
		t.Errorf("no such member: got %v", err)
	}
	if _, err := a.DialID(t.Context(), xlreg.NodeID(id("d"))); !errors.Is(err, xlreg.ErrNotMember) {
		t.Errorf("no such ID: got %v", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { // says nothing, and sees the end
		nc, err := members[1].port.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		cancel()
		_, _ = io.Copy(io.Discard, nc)
	})
	if _, err := members[0].Dial(ctx, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	serving.Wait()
}

// Clients of a cluster are at its second endpoint, and may show who they are.
func TestClientsDialMembers(t *testing.T) {
	t.Parallel()
	for endpoints := 1; endpoints <= 2; endpoints++ {
		var nodes []*identity.Node
		for _, name := range []xlreg.Name{"a", "b"} {
			nodes = append(nodes, xlregtest.Node(t, name))
		}
		members := tlsClusterOf(t, xlregtest.Start(t), "c", endpoints, nodes)
		config := must[*tls.Config](t)(members[0].ServerTLSConfig())
		config.ClientAuth = tls.RequestClientCert
		l := tls.NewListener(members[0].ports[endpoints-1], config)
		shown := fresh(t, xlregtest.Node(t, "client"), members[0].clock.now())
		for _, cert := range []*tls.Certificate{nil, &shown} {
			var serving sync.WaitGroup
			var got int
			serving.Go(func() {
				nc, err := l.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				fmt.Fprint(nc, "welcome")
				got = len(nc.(*tls.Conn).ConnectionState().PeerCertificates)
			})
			c := must[*client.Conn](t)(members[1].Roster().DialID(t.Context(), members[0].Self().Token.ID, cert))
			said, err := io.ReadAll(c)
			c.Close()
			serving.Wait()
			if string(said) != "welcome" || err != nil || c.Member().Token.Name != "a" || (got > 0) != (cert != nil) {
				t.Errorf("%d endpoints: %q said %q, %v, and has seen %d certificates", endpoints, c.Member().Token.Name, said, err, got)
			}
		}
	}
}
