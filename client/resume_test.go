package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/ticket"
)

// savedMembers forms a cluster of two, closes the first one's Membership, as if its program
// had ended, and returns what it saved.
func savedMembers(t *testing.T, r *registryFor, to *ticket.Ticket, lease time.Duration) (m []*client.Membership, saved *client.SavedRoster) {
	t.Helper()
	m = r.formBy([]*ticket.Ticket{to, to}, func(i int, o *client.FormOptions) {
		if o.Lease = lease; i > 0 && lease > 0 {
			o.Lease = time.Minute // the other member stays, however slow the machine is
		}
	})
	file := must[[]byte](t)(m[0].SaveRoster())
	if err := m[0].Close(); err != nil {
		t.Fatal(err)
	}
	return m, must[*client.SavedRoster](t)(client.LoadRoster(to, m[0].Node(), file, client.LoadOptions{}))
}

// resumed is the first member's next start.
func resumed(t *testing.T, r *registryFor, to client.Target, before *client.Membership, saved *client.SavedRoster, lease time.Duration) (m *client.Membership, joined chan xlreg.Cluster) {
	t.Helper()
	joined = make(chan xlreg.Cluster, 9)
	m = must[*client.Membership](t)(client.Resume(to, saved, client.FormOptions{
		Options: client.Options{Node: before.Node(), Dialer: r.dialer}, Lease: lease, Joined: func(c xlreg.Cluster) { joined <- c },
	}))
	t.Cleanup(func() { m.Close() })
	return m, joined
}

// A member that starts while its registry is away has the roster of before, TLS and all, and
// follows the cluster again when the registry is back.
func TestResumeWithoutTheRegistry(t *testing.T) {
	for _, lease := range []time.Duration{0, 20 * time.Second} {
		data := memory.New()
		r := start(t, "127.0.0.1:0", data)
		to := r.ownerTicket("keyed", 2)
		members, saved := savedMembers(t, r, to, lease)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		m, joined := resumed(t, r, to, members[0], saved, lease)
		if roster := m.Roster(); roster.Sum != members[1].Roster().Sum || !roster.Pinned || m.Self().Token.Name != "m0" {
			t.Fatalf("it has %v, and is %v", roster, m.Self())
		}
		if _, err := m.TLSConfig(); err != nil {
			t.Fatal(err)
		}
		ctx := patient(t)
		watch, other := watching(t, m.Watch(ctx)), watching(t, members[1].Watch(ctx))
		again := start(t, string(r.cred.Endpoints[0]), data)
		<-joined
		watch.want("~m0") // its run is new
		other.want("~m0")
		if got := m.Lease(); got != lease {
			t.Errorf("the lease is %v, want %v", got, lease)
		}
		if m.Heard().Before(saved.Heard) || m.Err() != nil {
			t.Errorf("heard at %v, fate %v", m.Heard(), m.Err())
		}
		if err := members[1].Leave(ctx); err != nil {
			t.Fatal(err)
		}
		watch.want("-m1")
		if err := again.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// A seat whose lease ran out while the registry was away is taken again.
func TestResumeTakesAnotherLease(t *testing.T) { synctest.Test(t, resumeTakesAnotherLease) }

func resumeTakesAnotherLease(t *testing.T) {
	r := newNetwork(t).registry
	to := r.ownerTicket("keyed", 2)
	members, saved := savedMembers(t, r, to, 2*time.Second)
	ctx := patient(t)
	watch := watching(t, members[1].Watch(ctx))
	watch.want("-m0")
	m, joined := resumed(t, r, to, members[0], saved, 2*time.Second)
	<-joined
	watch.want("+m0")
	if m.Self().Index != saved.Self.Index {
		t.Errorf("index %d, and %d before", m.Self().Index, saved.Self.Index)
	}
}

// Whose seat is gone is told what one is told that loses it while it runs.
func TestResumeWithoutASeat(t *testing.T) {
	evict := func(ctx context.Context, r *registryFor, to *ticket.Ticket) error {
		owner, err := client.NewOwner(to, client.Options{Dialer: r.dialer})
		if err != nil {
			return err
		}
		return owner.Evict(ctx, memberKeys()[0].SigKey)
	}
	for what, tt := range map[string]struct {
		lease time.Duration
		do    func(ctx context.Context, r *registryFor, to *ticket.Ticket) error
		want  error
	}{
		"evicted": {0, evict, xlreg.ErrNotMember},
		"replaced": {20 * time.Second, func(ctx context.Context, r *registryFor, to *ticket.Ticket) error {
			if err := evict(ctx, r, to); err != nil {
				return err
			}
			_, err := client.Form(ctx, to, r.joinOptions(2))
			return err
		}, xlreg.ErrNotMember},
		"new epoch": {0, func(ctx context.Context, r *registryFor, to *ticket.Ticket) error {
			owner, err := client.NewOwner(to, client.Options{Dialer: r.dialer})
			if err != nil {
				return err
			}
			return owner.Reopen(ctx)
		}, client.ErrNewEpoch},
		"deleted": {0, func(ctx context.Context, r *registryFor, to *ticket.Ticket) error {
			owner, err := client.NewOwner(to, client.Options{Dialer: r.dialer})
			if err != nil {
				return err
			}
			return owner.Delete(ctx)
		}, xlreg.ErrNoSuchClusterID},
		"twin": {3 * time.Second, func(ctx context.Context, r *registryFor, to *ticket.Ticket) error {
			o := r.joinOptions(0)
			o.Lease = 3 * time.Second
			m, err := client.Form(ctx, to, o)
			if err == nil {
				r.t.Cleanup(func() { m.Close() })
			}
			return err
		}, xlreg.ErrMemberIDInUse},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newNetwork(t).registry
				to := r.ownerTicket("keyed", 2)
				members, saved := savedMembers(t, r, to, tt.lease)
				ctx := patient(t)
				if err := tt.do(ctx, r, to); err != nil {
					t.Fatal(err)
				}
				m, _ := resumed(t, r, to, members[0], saved, tt.lease)
				watching(t, m.Watch(ctx)).wantEnd(tt.want)
				if m.Roster().Sum != saved.Sum {
					t.Errorf("it has %v now", m.Roster())
				}
			})
		})
	}
}

// What a member saves is of use to nobody else, and to itself only as it is.
func TestASavedRosterIsTheMembersOwn(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	to := r.ownerTicket("keyed", 2)
	members := r.formBy([]*ticket.Ticket{to, to}, nil)
	file := must[[]byte](t)(members[0].SaveRoster())
	if _, err := client.LoadRoster(to, members[1].Node(), file, client.LoadOptions{}); !errors.Is(err, client.ErrBadSaved) {
		t.Errorf("another member gets %v", err)
	}
	file[len(file)/2]++
	if _, err := client.LoadRoster(to, members[0].Node(), file, client.LoadOptions{}); !errors.Is(err, client.ErrBadSaved) {
		t.Errorf("changed, it is %v", err)
	}
}

// Sparing costs no request in the first second of a wait, and then one in five seconds for
// whatever happens meanwhile.
func TestSparingProgress(t *testing.T) {
	for _, tt := range []struct {
		slow time.Duration // between two members
		told int
		most int // requests
	}{
		{100 * time.Millisecond, 1, 1},
		{600 * time.Millisecond, 2, 2},
		{2500 * time.Millisecond, 3, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, xlreg.Protocol20)
			f.tell(wire.OpGetCluster, f.wait)
			after(t, tt.slow, func() { f.addOther("a") })
			after(t, 2*tt.slow, func() { f.addOther("b") })
			after(t, 3*tt.slow, func() { f.addOther("c") })
			var told []time.Duration
			start := time.Now()
			o := client.AwaitOptions{Options: f.options(nil), Cluster: clusterC, Size: 3, Sparing: true}
			o.Progress = func(client.Progress) { told = append(told, time.Since(start)) }
			if _, err := client.Await(t.Context(), f.target(), o); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != 3*tt.slow {
				t.Errorf("it took %v, want %v", took, 3*tt.slow)
			}
			if asked := len(f.requests(wire.OpGetCluster)); asked > tt.most || len(told) != tt.told {
				t.Errorf("every %v: %d requests, told at %v", tt.slow, asked, told)
			}
			for i, at := range told[:len(told)-1] {
				if at < time.Second || i > 0 && at-told[i-1] < 5*time.Second {
					t.Errorf("every %v: told at %v", tt.slow, told)
				}
			}
		})
	}
}
