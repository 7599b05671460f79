package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/ticket"
)

// ownerTicket is a new owner's ticket for a cluster at a registry.
func (r *registryFor) ownerTicket(cluster xlreg.Name, size int) *ticket.Ticket {
	return must[*ticket.Ticket](r.t)(ticket.NewOwner(r.target(), cluster, size, 1))
}

// member is a node over 2.0 with the key of the given number.
func member(t testing.TB, i int) *identity.Node {
	return newNodeOf(t, memberKeys()[i], fmt.Sprintf("m%d", i))
}

// joinOptions are those to form a cluster by a ticket.
func (r *registryFor) joinOptions(i int) client.FormOptions {
	o := r.options(xlreg.Protocol20, member(r.t, i), "", 0)
	o.Cluster = xlreg.ClusterRef{}
	return o
}

// patient is how long a test waits for what has to come.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// formBy forms a cluster of those who have the tickets, and closes the memberships with the
// test.
func (r *registryFor) formBy(tickets []*ticket.Ticket, change func(int, *client.FormOptions)) []*client.Membership {
	r.t.Helper()
	ctx := patient(r.t)
	members := make([]*client.Membership, len(tickets))
	var g errgroup.Group
	for i, to := range tickets {
		o := r.joinOptions(i)
		if change != nil {
			change(i, &o)
		}
		g.Go(func() (err error) {
			members[i], err = client.Form(ctx, to, o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
	for _, m := range members {
		r.t.Cleanup(func() { m.Close() })
	}
	return members
}

// Owner, invited and admitted members form a cluster, in any order: who comes before the
// owner waits. Each sees that the owner has let all others in.
func TestFormByTickets(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	owner := r.ownerTicket("keyed", 4)
	invite := must[*ticket.Ticket](t)(owner.NewInvite(2, time.Now().Add(time.Hour)))
	admit := must[*ticket.Ticket](t)(owner.NewAdmit(memberKeys()[3].SigKey))

	early := make(chan error, 1)
	o := r.joinOptions(1)
	ctx := patient(t)
	waits := make(chan struct{})
	o.Progress = func(p client.Progress) {
		if errors.Is(p.Err, xlreg.ErrNoSuchClusterName) {
			close(waits)
		}
	}
	var first *client.Membership
	go func() {
		m, err := client.Form(ctx, invite, o)
		first = m
		early <- err
	}()
	<-waits // told once
	var g errgroup.Group
	for i, to := range map[int]*ticket.Ticket{0: owner, 2: invite, 3: admit} {
		o := r.joinOptions(i)
		g.Go(func() error {
			m, err := client.Form(ctx, to, o)
			if err == nil && (!m.Roster().Pinned || len(m.Roster().Members) != 4) {
				err = fmt.Errorf("roster %v", m.Roster())
			}
			return err
		})
	}
	if err := errors.Join(g.Wait(), <-early); err != nil {
		t.Fatal(err)
	}
	roster := first.Roster()
	read := must[*client.Roster](t)(client.Await(ctx, owner.Reader(), client.AwaitOptions{}))
	if read.Sum != roster.Sum || roster.ShortSum() == "" || read.Cluster.Key != owner.Key {
		t.Errorf("a reader sees %v, a member %v", read, roster)
	}
	_, err := client.Form(ctx, invite, r.joinOptions(4))
	if !errors.Is(err, xlreg.ErrNotAdmitted) || !strings.Contains(err.Error(), "used up") {
		t.Errorf("one too many: %v", err)
	}
	unpinned := must[*client.Client](t)(client.Dial(ctx, r.target(), client.Options{}))
	defer unpinned.Close()
	if seen, err := unpinned.Members(ctx, xlreg.ClusterRef{ID: roster.Cluster.ID}); err != nil || seen.Pinned || len(seen.Members) != 4 {
		t.Errorf("who knows no key sees %v, %v", seen, err)
	}
}

func TestTicketsThatDoNotDo(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	owner := r.ownerTicket("keyed", 2)
	for what, tt := range map[string]struct {
		to     client.Target
		change func(*client.FormOptions)
		want   error
	}{
		"a reader's":        {owner.Reader(), nil, ticket.ErrReader},
		"that of another":   {must[*ticket.Ticket](t)(owner.NewAdmit(memberKeys()[9].SigKey)), nil, ticket.ErrOtherKey},
		"another cluster":   {owner, func(o *client.FormOptions) { o.Cluster.Name = "other" }, nil},
		"a classic carrier": {owner, func(o *client.FormOptions) { o.Protocol = xlreg.Protocol19 }, client.ErrNeeds20},
		"another size":      {owner, func(o *client.FormOptions) { o.Size = 3; o.JoinOnly = true }, nil},
		"none":              {(*ticket.Ticket)(nil), func(o *client.FormOptions) { o.Cluster.Name, o.Size = "c", 2 }, nil},
	} {
		o := r.joinOptions(1)
		if tt.change != nil {
			tt.change(&o)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := client.Form(ctx, tt.to, o)
		cancel()
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", what, err)
		}
		if err != nil && strings.Contains(err.Error(), "owner=") {
			t.Errorf("%s: the error shows a secret", what)
		}
	}
}

// An owner's orders are done once each, and those whom they are about learn it.
func TestOwnerGivesOrders(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	ticketOf := r.ownerTicket("keyed", 3)
	invite := must[*ticket.Ticket](t)(ticketOf.NewInvite(0, time.Time{}))
	members := r.formBy([]*ticket.Ticket{ticketOf, invite, invite}, nil)
	owner := must[*client.Owner](t)(client.NewOwner(ticketOf, client.Options{}))
	ctx := patient(t)

	if err := owner.Evict(ctx, memberKeys()[1].SigKey); err != nil {
		t.Fatal(err)
	}
	if _, err := members[1].Refresh(ctx); !errors.Is(err, xlreg.ErrNotMember) {
		t.Errorf("who was evicted sees %v", err)
	}
	if err := owner.Evict(ctx, memberKeys()[1].SigKey); !errors.Is(err, xlreg.ErrNotMember) {
		t.Errorf("evicted again: %v", err)
	}
	roster := must[*client.Roster](t)(owner.Members(ctx))
	if err := owner.BanMember(ctx, roster.ByName("m2")); err != nil {
		t.Fatal(err)
	}
	o := r.joinOptions(5)
	if _, err := client.Form(ctx, invite, o); !errors.Is(err, xlreg.ErrNotAdmitted) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("by the invite of who was banned: %v", err)
	}
	if err := owner.Reopen(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := members[0].Refresh(ctx); !errors.Is(err, client.ErrNewEpoch) {
		t.Errorf("after reopening: %v", err)
	}
	if err := owner.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Form(ctx, ticketOf, r.joinOptions(0)); !errors.Is(err, xlreg.ErrNotAdmitted) {
		t.Errorf("made again: %v", err)
	}
	if _, err := client.NewOwner(invite, client.Options{}); !errors.Is(err, ticket.ErrNotOwner) {
		t.Errorf("owner by an invite: %v", err)
	}
}

// Two owners who give orders at once are both obeyed: the later one asks again.
func TestOrdersOfTwo(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	to := r.ownerTicket("keyed", 2)
	r.formBy([]*ticket.Ticket{to, to}, nil)
	owner := must[*client.Owner](t)(client.NewOwner(to, client.Options{}))
	ctx := patient(t)
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error { return owner.Ban(ctx, memberKeys()[20+i].SigKey) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	c := must[*client.Client](t)(client.Dial(ctx, to, client.Options{}))
	defer c.Close()
	if _, state, err := c.State(ctx, xlreg.ClusterRef{}); err != nil || state.Orders != 8 {
		t.Errorf("%d orders, %v", state.Orders, err)
	}
}

func TestLabelsAndObserved(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	to := r.ownerTicket("keyed", 2)
	labels := map[string]string{"role": "worker", "bin": "\x00\xff"}
	members := r.formBy([]*ticket.Ticket{to, to}, func(i int, o *client.FormOptions) {
		if i == 0 {
			o.Labels = labels
		} else {
			o.Listeners, o.Advertise = nil, []xlreg.Endpoint{"observed:7001"}
		}
	})
	m := members[1].Roster().ByName("m0")
	if got := m.Labels(); len(got) != 2 || got["role"] != "worker" || got["bin"] != "\x00\xff" {
		t.Errorf("labels %q", got)
	}
	if got := members[1].Self(); got.Labels() != nil || !slices.Equal(got.Token.Endpoints, []xlreg.Endpoint{"127.0.0.1:7001"}) {
		t.Errorf("%v", got)
	}
	c := must[*client.Client](t)(client.Dial(t.Context(), to, client.Options{}))
	defer c.Close()
	from, err := c.Observed(t.Context())
	if host, _, splitErr := net.SplitHostPort(string(from)); err != nil || splitErr != nil || host != "127.0.0.1" {
		t.Errorf("observed %q, %v", from, err)
	}
}
