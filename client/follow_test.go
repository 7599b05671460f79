package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/ticket"
)

// changes reads from a Watch in the background of a test.
type changes struct {
	t    testing.TB
	next func() (client.Change, error, bool)
}

func watching(t testing.TB, seq iter.Seq2[client.Change, error]) *changes {
	next, stop := iter.Pull2(seq)
	t.Cleanup(stop)
	return &changes{t, next}
}

// want waits for a change in which others came, went and changed, as Change.String has it.
func (c *changes) want(text string) client.Change {
	c.t.Helper()
	change, err, ok := c.next()
	if err != nil || !ok {
		c.t.Fatalf("%s: %v", text, err)
	}
	if _, got, _ := strings.Cut(change.String(), ": "); got != text {
		c.t.Fatalf("got %v, want %s", &change, text)
	}
	return change
}

// wantEnd waits for the end of the Watch.
func (c *changes) wantEnd(want error) {
	c.t.Helper()
	change, err, _ := c.next()
	if !errors.Is(err, want) {
		c.t.Fatalf("got %v, %v, want %v", change, err, want)
	}
}

// A Watch tells each change once, through a restart of the registry, and the roster and
// those who are accepted over TLS move with it.
func TestWatchTellsEachChangeOnce(t *testing.T) {
	data := memory.New()
	r := start(t, "127.0.0.1:0", data)
	to := r.ownerTicket("keyed", 3)
	members := r.formBy([]*ticket.Ticket{to, to, to}, nil)
	ctx := patient(t)
	watch := watching(t, members[0].Watch(ctx))
	reader := watching(t, client.Watch(ctx, to.Reader(), client.WatchOptions{}))
	if first, err, _ := reader.next(); err != nil || len(first.Came) != 3 {
		t.Fatalf("a reader sees %v first, %v", &first, err)
	}

	if err := members[2].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if c := watch.want("-m2"); c.Roster != members[0].Roster() || len(c.Roster.Members) != 2 {
		t.Errorf("the roster is %v", members[0].Roster())
	}
	reader.want("-m2")

	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	start(t, string(r.cred.Endpoints[0]), data)
	if _, err := client.Form(ctx, to, r.joinOptions(2)); err != nil {
		t.Fatal(err)
	}
	watch.want("+m2")
	reader.want("+m2")

	o := r.joinOptions(2) // with another port, and another run
	if _, err := client.Form(ctx, to, o); err != nil {
		t.Fatal(err)
	}
	watch.want("~m2")
	reader.want("~m2")
	if err := members[0].Close(); err != nil {
		t.Fatal(err)
	}
	watch.wantEnd(client.ErrClosed)
}

func TestWatchEndsWithItsContextAndItsCaller(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	to := r.ownerTicket("keyed", 2)
	m := r.formBy([]*ticket.Ticket{to, to}, nil)[0]
	ctx, cancel := context.WithCancel(t.Context())
	watch := watching(t, m.Watch(ctx))
	time.AfterFunc(50*time.Millisecond, cancel)
	watch.wantEnd(context.Canceled)
	for change, err := range client.Watch(t.Context(), to, client.WatchOptions{}) {
		if err != nil || len(change.Came) != 2 {
			t.Errorf("first comes %v, %v", &change, err)
		}
		break
	}
	if m.Err() != nil {
		t.Errorf("fate %v", m.Err())
	}
}

// Who is evicted, replaced, or left behind by a new epoch learns it from its watch.
func TestWatchTellsTheNodesFate(t *testing.T) {
	for what, tt := range map[string]struct {
		do   func(ctx context.Context, r *registryFor, to *ticket.Ticket) error
		want func(error) bool
	}{
		"evicted": {func(ctx context.Context, _ *registryFor, to *ticket.Ticket) error {
			owner, err := client.NewOwner(to, client.Options{})
			if err != nil {
				return err
			}
			return owner.Evict(ctx, memberKeys()[0].SigKey)
		}, func(err error) bool { return errors.Is(err, xlreg.ErrNotMember) && !errors.Is(err, client.ErrNewEpoch) }},
		"twin": {func(ctx context.Context, r *registryFor, to *ticket.Ticket) error {
			o := r.joinOptions(0)
			o.TakeOver = true
			_, err := client.Form(ctx, to, o)
			return err
		}, func(err error) bool {
			var twin *client.TwinError
			return errors.As(err, &twin) && errors.Is(err, xlreg.ErrMemberIDInUse) && len(twin.Endpoints) == 1
		}},
		"new epoch": {func(ctx context.Context, _ *registryFor, to *ticket.Ticket) error {
			owner, err := client.NewOwner(to, client.Options{})
			if err != nil {
				return err
			}
			return owner.Reopen(ctx)
		}, func(err error) bool { return errors.Is(err, client.ErrNewEpoch) }},
	} {
		for _, lease := range []time.Duration{0, 20 * time.Second} {
			r := start(t, "127.0.0.1:0", memory.New())
			to := r.ownerTicket("keyed", 2)
			members := r.formBy([]*ticket.Ticket{to, to}, func(_ int, o *client.FormOptions) { o.Lease = lease })
			ctx := patient(t)
			watch := watching(t, members[0].Watch(ctx))
			if err := tt.do(ctx, r, to); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			change, err, _ := watch.next()
			if !tt.want(err) || !tt.want(members[0].Err()) {
				t.Errorf("%s, lease %v: got %v, %v; %v", what, lease, &change, err, members[0].Err())
			}
		}
	}
}

// A seat with a lease stays as long as its Membership lives, and goes after it. In a bubble no
// sign of life comes late, however busy the machine is.
func TestLeaseIsKeptWhileTheMembershipLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease, kept = 2 * time.Second, 25 * time.Second
		r := newNetwork(t).registry
		to := r.ownerTicket("keyed", 2)
		members := r.formBy([]*ticket.Ticket{to, to}, func(i int, o *client.FormOptions) {
			if i == 1 {
				o.Lease = lease
			}
		})
		if got := members[1].Lease(); got != lease {
			t.Fatalf("lease %v", got)
		}
		began := time.Now()
		watch := watching(t, members[0].Watch(patient(t)))
		after(t, kept, func() { members[1].Close() })
		watch.want("-m1")
		if lived := time.Since(began); lived < kept || lived > kept+2*lease {
			t.Errorf("the seat went after %v, and was kept for %v", lived, kept)
		}
	})
}

// With a lease, the process that has the seat can be told to be alive, and the other one
// does not take the seat from it unless it means it.
func TestATwinIsRefusedWhereItCanBeTold(t *testing.T) { synctest.Test(t, twinIsRefused) }

func twinIsRefused(t *testing.T) {
	r := newNetwork(t).registry
	to := r.ownerTicket("keyed", 2)
	leased := func(_ int, o *client.FormOptions) { o.Lease = 3 * time.Second }
	members := r.formBy([]*ticket.Ticket{to, to}, leased)
	ctx := patient(t)
	o := r.joinOptions(0)
	leased(0, &o)
	_, err := client.Form(ctx, to, o)
	var twin *client.TwinError
	if !errors.As(err, &twin) || twin.Endpoints[0] != members[0].Self().Token.Endpoints[0] || twin.Joined.IsZero() {
		t.Fatalf("got %v", err)
	}
	if err := members[0].Err(); err != nil {
		t.Errorf("the first one is told %v", err)
	}
	o.TakeOver = true
	m, err := client.Form(ctx, to, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for err := range valuesOf(members[0].Watch(ctx)) {
		if !errors.As(err, &twin) {
			t.Errorf("who was replaced is told %v", err)
		}
	}
}

// A process that died leaves a seat with a lease behind, and its next start is no twin.
func TestTheNextStartIsNoTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newNetwork(t).registry
		to := r.ownerTicket("keyed", 2)
		leased := func(_ int, o *client.FormOptions) { o.Lease = 20 * time.Second }
		members := r.formBy([]*ticket.Ticket{to, to}, leased)
		if err := members[0].Close(); err != nil { // which leaves the seat as it is
			t.Fatal(err)
		}
		o := r.joinOptions(0)
		leased(0, &o)
		m, err := client.Form(patient(t), to, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Form is done with its session when the Membership begins to follow with it: news come at
// once here, as members do not wait for each other. The race detector tells if it is not.
func TestFormHandsItsSessionOver(t *testing.T) {
	for range 10 {
		r := start(t, "127.0.0.1:0", memory.New())
		tickets := slices.Repeat([]*ticket.Ticket{r.ownerTicket("keyed", 6)}, 6)
		members := r.formBy(tickets, func(_ int, o *client.FormOptions) { o.Lease, o.NoWait = time.Minute, true })
		for i, m := range members {
			if m.Lease() != time.Minute || m.Self().Token.Name != xlreg.Name(fmt.Sprintf("m%d", i)) {
				t.Errorf("member %d is %v with a lease of %v", i, m.Self(), m.Lease())
			}
		}
	}
}

func valuesOf(seq iter.Seq2[client.Change, error]) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, err := range seq {
			if err != nil && !yield(err) {
				return
			}
		}
	}
}

// A whole cluster that starts anew under its name meets in an epoch of its own: nobody is
// shown an address of the last one, and who is still there from it is told.
func TestFreshStarts(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	for what, to := range map[string]client.Target{"keyed": r.ownerTicket("keyed", 3), "open": r.target()} {
		ctx := patient(t)
		form := func() []*client.Membership {
			members := make([]*client.Membership, 3)
			var g errgroup.Group
			for i := range members {
				o := r.joinOptions(i)
				o.Fresh = true
				if what == "open" {
					o.Cluster.Name, o.Size = "open", 3
				}
				g.Go(func() (err error) {
					members[i], err = client.Form(ctx, to, o)
					return err
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return members
		}
		var before []*client.Membership
		for range 3 {
			now := form()
			epoch := now[0].Roster().State.Epoch
			for i, m := range now {
				roster := m.Roster()
				if roster.Sum != now[0].Roster().Sum || len(roster.Members) != 3 {
					t.Fatalf("%s: member %d sees %v at epoch %d, another %v", what, i, roster, roster.State.Epoch, now[0].Roster())
				}
				if before == nil {
					continue
				}
				old := before[i].Self().Token
				if roster.ByKey(old.SigKey).Token.Endpoints[0] == old.Endpoints[0] || epoch <= before[i].Roster().State.Epoch {
					t.Errorf("%s: the address of the last start is shown at epoch %d", what, epoch)
				}
				var twin *client.TwinError
				if _, err := before[i].Refresh(ctx); !errors.As(err, &twin) {
					t.Errorf("%s: who was there before is told %v", what, err)
				}
			}
			before = now
		}
	}
}
