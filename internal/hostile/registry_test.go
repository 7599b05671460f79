package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

// liar is a registry that has its own keys and says of a cluster what it likes.
type liar struct {
	node   *identity.Node
	addr   string
	roster *xlreg.Roster
}

// newLiar serves until the test ends. One reader at a time may ask it.
func newLiar(t *testing.T) *liar {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &liar{node: rsaNode(t, 0, "registry"), addr: l.Addr().String()}
	authority, err := session.NewAuthority(r.node.Keys().Sig, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.NewServer(session.ServerConfig{Authority: authority, Protocols: []xlreg.Protocol{xlreg.Protocol20}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			r.serve(s, nc)
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return r
}

// serve answers one reader.
func (r *liar) serve(s *session.Server, nc net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := s.Accept(ctx, nc)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return
		}
		reply := wire.NewAck()
		if m.Op() == wire.OpGetCluster {
			encoded, err := wire.EncodeRoster(r.roster, xlreg.Protocol20)
			if err != nil {
				return
			}
			reply = encoded.Message(xlreg.AllSeats(), xlreg.MaxReplyFrame)
		}
		if c.Send(ctx, reply) != nil {
			return
		}
	}
}

// tell says something of the cluster, and returns what a reader takes it for.
func (r *liar) tell(t *testing.T, members []xlreg.Member) (*client.Roster, error) {
	t.Helper()
	r.roster = &xlreg.Roster{
		Cluster: xlreg.Cluster{ID: xlreg.ClusterID(slices.Repeat([]byte{9}, 32)), Name: "c", MaxSize: 4, EndpointCount: 1},
		Members: members,
	}
	set := r.node.Keys()
	cred := &xlreg.Credentials{
		Name: "registry", ID: xlreg.NodeID(slices.Repeat([]byte{1}, 32)), CommsKey: set.CommsKey, SigKey: set.SigKey,
		Endpoints: []xlreg.Endpoint{xlreg.Endpoint(r.addr)}, Version: xlreg.Version20,
	}
	target, err := regcred.NewTarget(cred)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), target, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Members(t.Context(), xlreg.ClusterRef{Name: "c"})
}

// member makes a member as a registry shows it.
func member(t *testing.T, node *identity.Node, index int) xlreg.Member {
	t.Helper()
	token, _, err := node.Token(xlreg.Protocol20, xlreg.NodeID(slices.Repeat([]byte{byte('a' + index)}, 32)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	shown := *token
	shown.Seat.Joined = time.Now().Truncate(time.Millisecond)
	return xlreg.Member{Index: index, Token: shown}
}

// What a registry can do to its members, and what they notice. Its power is over
// who is there, with which ID and index, and how fresh that is. What a member says
// of itself is beyond it.
func TestMaliciousRegistry(t *testing.T) {
	r := newLiar(t)
	alice, bob := xlregtest.Node(t, "alice"), xlregtest.Node(t, "bob")
	setEndpoint(t, alice, "127.0.0.1:1001")
	setEndpoint(t, bob, "127.0.0.1:1002")
	older := member(t, alice, 0)
	setEndpoint(t, alice, "127.0.0.1:2001")
	honest := []xlreg.Member{member(t, alice, 0), member(t, bob, 1)}
	invented := xlregtest.Node(t, "carol")
	setEndpoint(t, invented, "127.0.0.1:6666")
	another := xlregtest.Node(t, "alice")
	setEndpoint(t, another, "127.0.0.1:6666")

	for _, c := range []struct {
		name    string
		change  func(m []xlreg.Member) []xlreg.Member
		noticed error
	}{
		{"tells the truth", func(m []xlreg.Member) []xlreg.Member { return m }, nil},
		{"leaves one out", func(m []xlreg.Member) []xlreg.Member { return m[1:] }, nil},
		{"invents one", func(m []xlreg.Member) []xlreg.Member { return append(m, member(t, invented, 2)) }, nil},
		{"puts its own in a member's place", func(m []xlreg.Member) []xlreg.Member {
			m[0] = member(t, another, 0)
			return m
		}, nil},
		{"gives another ID", func(m []xlreg.Member) []xlreg.Member {
			m[0].Token.ID = xlreg.NodeID(slices.Repeat([]byte{'z'}, 32))
			return m
		}, nil},
		{"gives another index", func(m []xlreg.Member) []xlreg.Member {
			m[1].Index = 3
			return m
		}, nil},
		{"shows what a member said before", func(m []xlreg.Member) []xlreg.Member {
			m[0] = older
			return m
		}, nil},
		{"changes an address", func(m []xlreg.Member) []xlreg.Member {
			m[0].Token.Endpoints = []xlreg.Endpoint{"127.0.0.1:6666"}
			return m
		}, xlreg.ErrBadSignature},
		{"changes a name", func(m []xlreg.Member) []xlreg.Member {
			m[0].Token.Name = "mallory"
			return m
		}, xlreg.ErrBadSignature},
		{"changes a key", func(m []xlreg.Member) []xlreg.Member {
			m[0].Token.CommsKey = invented.Keys().CommsKey
			return m
		}, xlreg.ErrBadSignature},
		{"changes a certificate", func(m []xlreg.Member) []xlreg.Member {
			m[0].Token.Certificate = member(t, another, 0).Token.Certificate
			return m
		}, xlreg.ErrBadSignature},
		{"has one twice", func(m []xlreg.Member) []xlreg.Member {
			again := m[0]
			again.Index = 2
			return append(m, again)
		}, xlreg.ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := r.tell(t, c.change(slices.Clone(honest))); !errors.Is(err, c.noticed) {
				t.Errorf("a member notices %v, want %v", err, c.noticed)
			}
		})
	}
}

// A registry that drops all of a member's proofs makes it one that nobody takes for
// verified, and dropping some is found out.
func TestDroppedProofIsSeen(t *testing.T) {
	r := newLiar(t)
	alice := xlregtest.Node(t, "alice")
	setEndpoint(t, alice, "127.0.0.1:1001")
	m := member(t, alice, 0)
	m.Token.DigSig2, m.Token.Endpoints = nil, []xlreg.Endpoint{"127.0.0.1:6666"}
	if _, err := r.tell(t, []xlreg.Member{m}); !errors.Is(err, xlreg.ErrBadSignature) {
		t.Errorf("a member that lacks one of its proofs: %v", err)
	}
	m.Token.Certificate, m.Token.CommsSig = nil, nil
	roster, err := r.tell(t, []xlreg.Member{m})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(roster.Unverified()); got != "[alice]" {
		t.Errorf("unverified are %s", got)
	}
}

// Whoever reaches a registry that admits everybody, and knows the name of a cluster,
// can take a free seat in it. The others see a key that they did not expect.
func TestStrangersCanJoin(t *testing.T) {
	r := xlregtest.Start(t)
	stranger := xlregtest.Node(t, "stranger")
	setEndpoint(t, stranger, "127.0.0.1:6666")
	founder := xlregtest.Node(t, "founder")
	setEndpoint(t, founder, "127.0.0.1:1001")
	for _, node := range []*identity.Node{founder, stranger} {
		s := &siege{t: t, target: r.Target()}
		if err := s.join(t.Context(), node, "c", 2); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.Dial(t.Context(), r.Target(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roster, err := c.Members(t.Context(), xlreg.ClusterRef{Name: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if m := roster.ByName("stranger"); m == nil || m.Token.SigKey != stranger.Keys().SigKey {
		t.Errorf("the stranger is not seen for what it is: %+v", m)
	}
}
