package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/wire"
)

// spoil changes the roster of a fake, on a copy of what others may hold.
func (f *fake) spoil(index int, change func(*xlreg.Member)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	members := append([]xlreg.Member(nil), f.roster.Members...)
	change(&members[index])
	f.roster.Members = members
}

// flip returns b with its last bit changed.
func flip[T ~string | ~[]byte](b T) T {
	c := []byte(b)
	c[len(c)-1] ^= 1
	return T(c)
}

func TestForgedTokensAreErrorsThatNameTheMember(t *testing.T) {
	short := xlreg.CommsKey(shortKey().Public().DER())
	tests := map[string]func(*xlreg.Member){
		"signature":                  func(m *xlreg.Member) { m.Token.DigSig2 = flip(m.Token.DigSig2) },
		"name":                       func(m *xlreg.Member) { m.Token.Name = "bob2" },
		"attrs":                      func(m *xlreg.Member) { m.Token.Attrs ^= 1 },
		"endpoint":                   func(m *xlreg.Member) { m.Token.Endpoints = []xlreg.Endpoint{"127.0.0.1:666"} },
		"certificate":                func(m *xlreg.Member) { m.Token.Certificate = flip(m.Token.Certificate) },
		"sig key":                    func(m *xlreg.Member) { m.Token.SigKey = testKeys()[2].SigKey },
		"comms key":                  func(m *xlreg.Member) { m.Token.CommsKey = testKeys()[2].CommsKey },
		"no sig key":                 func(m *xlreg.Member) { m.Token.SigKey = "" },
		"short sig key":              func(m *xlreg.Member) { m.Token.SigKey = xlreg.SigKey(short) },
		"stripped, and no comms key": func(m *xlreg.Member) { m.Token.DigSig2, m.Token.CommsKey = nil, "none" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, xlreg.Protocol20)
			for _, member := range []string{"alice", "bob", "carol"} {
				f.addOther(member)
			}
			f.spoil(1, change)
			_, err := f.dial(nil).Members(t.Context(), clusterC)
			if err == nil || !strings.Contains(err.Error(), `member "bob`) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// strip makes a member one that registered over a classic carrier.
func strip(m *xlreg.Member) { m.Token.DigSig2, m.Token.Certificate, m.Token.CommsSig = nil, nil, nil }

// Whoever has some of the proofs and not all has lost them on the way.
func TestAMemberHasAllProofsOrNone(t *testing.T) {
	for name, take := range map[string]func(*xlreg.Token){
		"DigSig2":     func(t *xlreg.Token) { t.DigSig2 = nil },
		"Certificate": func(t *xlreg.Token) { t.Certificate = nil },
		"CommsSig":    func(t *xlreg.Token) { t.CommsSig = nil },
		"all but one": func(t *xlreg.Token) { t.DigSig2, t.Certificate = nil, nil },
	} {
		f := newFake(t, xlreg.Protocol20)
		addThree(f)
		f.spoil(1, func(m *xlreg.Member) { take(&m.Token) })
		_, err := f.dial(nil).Members(t.Context(), clusterC)
		if !errors.Is(err, xlreg.ErrBadSignature) || !strings.Contains(err.Error(), `member "bob"`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestMembersWithoutProofAreUnverified(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	for _, member := range []string{"alice", "bob", "carol"} {
		f.addOther(member)
	}
	f.spoil(0, strip)
	f.spoil(1, strip)
	r := must[*client.Roster](t)(f.dial(nil).Members(t.Context(), clusterC))
	if got := fmt.Sprint(r.Unverified()); got != "[alice bob]" {
		t.Fatalf("unverified: %s", got)
	}
	if _, err := r.ByName("alice").Certificate(); !errors.Is(err, client.ErrUnverified) {
		t.Fatalf("certificate of an unverified member: %v", err)
	}
	cert, err := r.ByName("carol").Certificate()
	if err != nil || cert.Subject.CommonName != "carol" {
		t.Fatalf("got %v, %v", cert, err)
	}
}

// What no certificate follows from is found where one is needed, too.
func TestCertificateIsCheckedWhenNeeded(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.addOther("alice")
	r := must[*client.Roster](t)(f.dial(nil).Members(t.Context(), clusterC))
	m := *r.ByName("alice")
	m.Token.Certificate = m.Token.Certificate[1:]
	if _, err := m.Certificate(); err == nil || errors.Is(err, client.ErrUnverified) {
		t.Fatalf("got %v", err)
	}
}

func TestNobodyIsVerifiedOverAClassicCarrier(t *testing.T) {
	f := newFake(t, xlreg.Protocol19)
	f.addOther("alice")
	c := f.dial(newNode(t, "n"))
	must[xlreg.NodeID](t)(c.Register(t.Context()))
	r := must[*client.Roster](t)(c.Members(t.Context(), clusterC))
	if len(r.Members) != 1 || r.Members[0].Verified {
		t.Fatalf("got %+v", r.Members)
	}
}

func TestLookups(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.addOther("alice")
	f.addOther("bob")
	r := must[*client.Roster](t)(f.dial(nil).Members(t.Context(), clusterC))
	bob := r.ByName("bob")
	if bob == nil || r.ByID(xlreg.NodeID(id("bob"))) != bob || r.ByIndex(1) != bob || bob.Index != 1 {
		t.Fatalf("bob is %+v", bob)
	}
	if r.ByName("nobody") != nil || r.ByID("") != nil || r.ByIndex(2) != nil {
		t.Fatal("found somebody who is not there")
	}
	if r.Missing() != 1 || r.Cluster.Name != "c" {
		t.Fatalf("missing %d of %+v", r.Missing(), r.Cluster)
	}
}

func TestRostersThatContradictThemselves(t *testing.T) {
	tests := map[string]func(f *fake){
		"index past the size": func(f *fake) { f.spoil(1, func(m *xlreg.Member) { m.Index = 3 }) },
		"one ID twice":        func(f *fake) { f.spoil(1, func(m *xlreg.Member) { m.Token.ID = xlreg.NodeID(id("alice")) }) },
		"one name twice":      func(f *fake) { f.spoil(1, func(m *xlreg.Member) { m.Token.Name = "alice" }) },
		"ill-formed endpoint": func(f *fake) { f.spoil(1, func(m *xlreg.Member) { m.Token.Endpoints = []xlreg.Endpoint{"nowhere"} }) },
		"member without ID":   func(f *fake) { f.spoil(1, func(m *xlreg.Member) { m.Token.ID = "" }) },
		"no cluster": func(f *fake) {
			f.tell(wire.OpGetCluster, func(request) *wire.Message {
				return wire.NewClusterReply(wire.OpClusterMembers, &xlreg.Cluster{}, xlreg.ClusterState{}, f.protocol)
			})
		},
		"cluster of more than there are": func(f *fake) {
			f.roster.Cluster.MaxSize = 1025
		},
		"not asked for": func(f *fake) {
			f.tell(wire.OpGetCluster, func(request) *wire.Message { return f.members(xlreg.AllSeats()) })
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, xlreg.Protocol20)
			f.addOther("alice")
			f.addOther("bob")
			spoil(f)
			c := f.dial(nil)
			get := func() error { _, err := c.Members(t.Context(), clusterC); return err }
			if name == "not asked for" {
				get = func() error { _, err := client.MembersAt(t.Context(), c, clusterC, 1); return err }
			}
			if err := get(); !errors.Is(err, xlreg.ErrProtocol) {
				t.Fatalf("got %v", err)
			}
			if err := get(); !errors.Is(err, client.ErrSessionEnded) {
				t.Fatalf("afterwards: %v", err)
			}
		})
	}
}

// Sixty-four members do not fit into one classic message.
func TestClassicRostersComeInPieces(t *testing.T) {
	for _, p := range []xlreg.Protocol{xlreg.Protocol19, xlreg.Protocol18} {
		f := newFake(t, p)
		f.roster.Cluster.MaxSize = 64
		for i := range 64 {
			f.addOther(fmt.Sprintf("m%d", i))
		}
		c := f.dial(newNode(t, "n"))
		must[xlreg.NodeID](t)(c.Register(t.Context()))
		r := must[*client.Roster](t)(c.Members(t.Context(), clusterC))
		for i := range r.Members {
			if want := fmt.Sprintf("m%d", i); r.Members[i].Index != i || string(r.Members[i].Token.Name) != want {
				t.Fatalf("member %d is %v", i, r.Members[i].Token.Name)
			}
		}
		if n := len(f.requests(wire.OpGetCluster)); len(r.Members) != 64 || n < 3 || n > 6 {
			t.Fatalf("%v: %d members after %d requests", p, len(r.Members), n)
		}
	}
}

// A reply far below the limit shows that no member was left out of it.
func TestASmallClassicRosterIsOneRequest(t *testing.T) {
	f := newFake(t, xlreg.Protocol19)
	f.addOther("alice")
	c := f.dial(newNode(t, "n"))
	must[xlreg.NodeID](t)(c.Register(t.Context()))
	must[*client.Roster](t)(c.Members(t.Context(), clusterC))
	if n := len(f.requests(wire.OpGetCluster)); n != 1 {
		t.Fatalf("%d requests", n)
	}
}

// A server cannot keep a client asking for pieces for ever.
func TestPiecesEnd(t *testing.T) {
	f := newFake(t, xlreg.Protocol19)
	f.roster.Cluster.MaxSize = 64
	for i := range 30 {
		f.addOther(fmt.Sprintf("m%d", i))
	}
	// The same two members again and again, wherever they were not before.
	f.tell(wire.OpGetCluster, func(r request) *wire.Message {
		all := r.get().Which
		e := must[*wire.EncodedRoster](t)(wire.EncodeRoster(&xlreg.Roster{
			Cluster: f.roster.Cluster,
			Members: repeat(f.roster.Members, all.Lowest()),
		}, xlreg.Protocol19))
		return e.Message(xlreg.AllSeats(), xlreg.MaxClassicMessage-32)
	})
	c := f.dial(newNode(t, "n"))
	must[xlreg.NodeID](t)(c.Register(t.Context()))
	if _, err := c.Members(t.Context(), clusterC); err != nil && !errors.Is(err, xlreg.ErrProtocol) {
		t.Fatal(err)
	}
	if n := len(f.requests(wire.OpGetCluster)); n > 64 {
		t.Fatalf("%d requests", n)
	}
}

// repeat returns members enough to fill a classic message, from an index on.
func repeat(members []xlreg.Member, from int) []xlreg.Member {
	var again []xlreg.Member
	for i := range members {
		if from+i < 64 {
			again = append(again, xlreg.Member{Index: from + i, Token: members[i].Token})
		}
	}
	return again
}
