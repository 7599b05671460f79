package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/ticket"
)

// A signed roster is verified by whoever knows the registry, and asks nobody; whatever is
// changed in it is found out.
func TestSignedRosters(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	to := r.ownerTicket("keyed", 2)
	members := r.formBy([]*ticket.Ticket{to, to}, nil)
	c := must[*client.Client](t)(client.Dial(t.Context(), to, client.Options{}))
	defer c.Close()
	document, signed, err := c.Signed(t.Context(), xlreg.ClusterRef{})
	if err != nil {
		t.Fatal(err)
	}
	if signed.Sum != members[0].Roster().Sum || !signed.Pinned || time.Since(signed.Time) > time.Minute {
		t.Errorf("signed %v at %v", signed.Roster, signed.Time)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for what, target := range map[string]client.Target{"credentials": r.target(), "ticket": to.Reader()} {
		got, err := client.VerifySigned(target, document)
		if err != nil || got.Sum != signed.Sum || !got.Time.Equal(signed.Time) || len(got.Members) != 2 || got.Pinned != (what == "ticket") {
			t.Errorf("by the %s: %v, %v", what, got, err)
		}
	}
	step := max(1, len(document)/400)
	for i := 0; i < len(document); i += step {
		changed := bytes.Clone(document)
		changed[i] ^= 1
		got, err := client.VerifySigned(to, changed)
		// Only what nobody signs may differ: times, and the order count.
		if err == nil && got.Sum != signed.Sum || err != nil && !errors.Is(err, client.ErrBadDocument) {
			t.Fatalf("byte %d changed: %v, %v", i, got, err)
		}
	}
	other := start(t, "127.0.0.1:0", memory.New())
	strange := must[*ticket.Ticket](t)(ticket.NewOwner(other.target(), "keyed", 2, 1))
	for what, document := range map[string][]byte{"none": nil, "cut": document[:len(document)-1], "twice": append(bytes.Clone(document), document...)} {
		if _, err := client.VerifySigned(to, document); !errors.Is(err, client.ErrBadDocument) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := client.VerifySigned(strange, document); !errors.Is(err, client.ErrBadDocument) {
		t.Errorf("by another cluster's ticket: %v", err)
	}
}

// Two rosters signed for one revision convict the registry, and nothing else does.
func TestContradictingRosters(t *testing.T) {
	roster := func(revision uint64, sum byte) *client.SignedRoster {
		r := &client.Roster{Cluster: xlreg.Cluster{ID: xlreg.ClusterID(id("c")), Name: "c"}, State: xlreg.ClusterState{Revision: revision}}
		r.Sum[0] = sum
		return &client.SignedRoster{Roster: r, Time: time.Unix(int64(sum), 0)}
	}
	if err := roster(1, 1).Contradicts(roster(1, 2)); !errors.Is(err, client.ErrContradiction) {
		t.Errorf("two sums: %v", err)
	}
	for what, other := range map[string]*client.SignedRoster{"another revision": roster(2, 2), "the same": roster(1, 1)} {
		if err := roster(1, 1).Contradicts(other); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Members that compare find that they see the same, and who sees another cluster.
func TestCompare(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	to := r.ownerTicket("keyed", 3)
	listeners := make([]net.Listener, 3)
	members := r.formBy([]*ticket.Ticket{to, to, to}, func(i int, o *client.FormOptions) { listeners[i] = o.Listeners[0] })
	ctx := patient(t)
	for i, m := range members[:2] {
		l, err := m.Listen(listeners[i])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	listeners[2].Close()
	c, err := members[0].Compare(ctx)
	if err != nil || len(c.Same) != 1 || c.Same[0].Token.Name != "m1" || len(c.Unknown) != 1 || c.Unknown[0].Member.Token.Name != "m2" {
		t.Fatalf("%+v, %v", c, err)
	}
	client.Lie(members[1])
	c, err = members[0].Compare(ctx)
	if !errors.Is(err, client.ErrOtherRoster) || len(c.Other) != 1 || c.Other[0].Member.Token.Name != "m1" {
		t.Fatalf("%+v, %v", c, err)
	}
	if text := fmt.Sprint(err); !bytes.Contains([]byte(text), []byte(`"m1"`)) {
		t.Errorf("%s does not name who sees another cluster", text)
	}
}
