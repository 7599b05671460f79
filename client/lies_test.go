package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/ticket"
)

// A registry that lies, about a cluster with a key, to those who have a ticket for it.

// keyed makes the cluster of a fake one with a key, with two members whom its owner has let
// in, and returns the owner's ticket.
func keyed(f *fake) *ticket.Ticket {
	to := must[*ticket.Ticket](f.t)(ticket.NewOwner(f.target(), "c", 3, 1))
	f.roster.Cluster.Key = to.Key
	for i, name := range []string{"alice", "bob"} {
		f.admit(to, i, name)
	}
	return to
}

// admit adds a member whom the owner has let in.
func (f *fake) admit(to *ticket.Ticket, i int, name string) {
	n := newNodeOf(f.t, memberKeys()[i], name, "127.0.0.1:4001")
	t, _, err := n.Token(xlreg.Protocol20, "", time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	a := must[xlreg.Admission](f.t)(to.Admission(t.SigKey))
	t.Seat.Admission = wire.EncodeAdmission(a)
	f.add(*t, xlreg.NodeID(id(name)))
}

// change makes a revision in which something of the roster is different.
func (f *fake) change(change func(*xlreg.Roster)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roster.Members = slices.Clone(f.roster.Members)
	change(&f.roster)
	f.raise()
}

func TestLiesAboutAClusterWithAKey(t *testing.T) {
	stranger := keys.NewOwner()
	token := func(t *testing.T) xlreg.Token {
		made, _, err := newNodeOf(t, memberKeys()[9], "carol", "127.0.0.1:1").Token(xlreg.Protocol20, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		made.ID = xlreg.NodeID(id("carol"))
		return *made
	}
	for what, tt := range map[string]struct {
		lie  func(*testing.T, *xlreg.Roster)
		says string
	}{
		"a stranger": {func(t *testing.T, r *xlreg.Roster) {
			r.Members = append(r.Members, xlreg.Member{Index: 2, Token: token(t)})
		}, `member "carol"`},
		"a stranger with a member's admission": {func(t *testing.T, r *xlreg.Roster) {
			carol := token(t)
			carol.Seat.Admission = r.Members[0].Token.Seat.Admission
			r.Members = append(r.Members, xlreg.Member{Index: 2, Token: carol})
		}, `member "carol"`},
		"a stranger whom another owner admits": {func(t *testing.T, r *xlreg.Roster) {
			carol := token(t)
			carol.Seat.Admission = wire.EncodeAdmission(must[xlreg.Admission](t)(stranger.Admit("c", carol.SigKey)))
			r.Members = append(r.Members, xlreg.Member{Index: 2, Token: carol})
		}, `member "carol"`},
		"a member without proofs": {func(_ *testing.T, r *xlreg.Roster) { strip(&r.Members[1]) }, `member "bob"`},
		"a member less one proof": {func(_ *testing.T, r *xlreg.Roster) { r.Members[1].Token.CommsSig = nil }, `member "bob"`},
		"no admission":            {func(_ *testing.T, r *xlreg.Roster) { r.Members[1].Token.Seat.Admission = nil }, `member "bob"`},
		"another cluster key":     {func(_ *testing.T, r *xlreg.Roster) { r.Cluster.Key = stranger.Public() }, "another cluster key"},
		"no cluster key":          {func(_ *testing.T, r *xlreg.Roster) { r.Cluster.Key = "" }, "another cluster key"},
	} {
		f := newFake(t, xlreg.Protocol20)
		to := keyed(f)
		read := func() error {
			c := must[*client.Client](t)(client.Dial(t.Context(), to.Reader(), client.Options{Dialer: f}))
			defer c.Close()
			_, err := c.Members(t.Context(), xlreg.ClusterRef{})
			return err
		}
		if err := read(); err != nil {
			t.Fatalf("%s: before: %v", what, err)
		}
		f.change(func(r *xlreg.Roster) { tt.lie(t, r) })
		if err := read(); !errors.Is(err, xlreg.ErrBadSignature) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// What was verified of one cluster says nothing about another one.
func TestAnAdmissionIsForOneCluster(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	to := keyed(f)
	c := must[*client.Client](t)(client.Dial(t.Context(), to.Reader(), client.Options{Dialer: f}))
	defer c.Close()
	must[*client.Roster](t)(c.Members(t.Context(), xlreg.ClusterRef{}))
	f.change(func(r *xlreg.Roster) {
		r.Cluster.ID, r.Cluster.Key = xlreg.ClusterID(id("other")), keys.NewOwner().Public()
	})
	if r, err := c.Members(t.Context(), xlreg.ClusterRef{ID: xlreg.ClusterID(id("other"))}); !errors.Is(err, xlreg.ErrBadSignature) {
		t.Errorf("got %v, %v", r, err)
	}
}

// A roster that does not have the sum that its registry says is refused, from the first on.
func TestAWrongSumIsFoundOut(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	to := keyed(f)
	f.tell(wire.OpGetCluster, func(r request) *wire.Message {
		encoded := must[[]byte](t)(f.members(r.get().Which).Append(nil))
		honest := must[*wire.Message](t)(wire.Unmarshal(encoded))
		roster := must[*wire.RosterReply](t)(honest.Roster(f.protocol))
		return must[*wire.Message](t)(wire.Unmarshal(bytes.Replace(encoded, roster.Sum[:], bytes.Repeat([]byte{7}, len(roster.Sum)), 1)))
	})
	c := must[*client.Client](t)(client.Dial(t.Context(), to.Reader(), client.Options{Dialer: f}))
	defer c.Close()
	if _, err := c.Members(t.Context(), xlreg.ClusterRef{}); !errors.Is(err, xlreg.ErrProtocol) || !strings.Contains(err.Error(), "Sum") {
		t.Errorf("got %v", err)
	}
}

// Within a session a registry cannot go back; in another one it may have been restored,
// and the log says so.
func TestAnOldRosterIsNoticed(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	addThree(f)
	c := f.dial(nil)
	must[*client.Roster](t)(c.Members(t.Context(), clusterC))
	f.mu.Lock()
	f.roster.State.Revision -= 2
	f.mu.Unlock()
	if _, err := c.Members(t.Context(), clusterC); !errors.Is(err, xlreg.ErrProtocol) {
		t.Errorf("in the same session: %v", err)
	}
}

// A registry that shows an older revision in another session, for as long as a server may be
// behind the others, has gone back.
func TestAnOldRosterOfAnotherSessionIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.addOther("alice")
		f.addOther("bob")
		var log bytes.Buffer
		o := f.formOptions(newNode(t, "n"))
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		m := must[*client.Membership](t)(client.Form(t.Context(), f.target(), o))
		f.mu.Lock()
		f.roster.State.Revision--
		old := f.roster.State.Revision
		f.mu.Unlock()
		start := time.Now()
		roster, err := m.Refresh(t.Context())
		if err != nil || roster.State.Revision != old || !strings.Contains(log.String(), "older revision") {
			t.Errorf("%v, %v; the log says %s", roster.State, err, &log)
		}
		if took := time.Since(start); took < 3*time.Second || took > 5*time.Second {
			t.Errorf("believed after %v", took)
		}
	})
}

// news answers with what is new, less what cut takes away.
func (f *fake) news(r request, cut xlreg.Seats) *wire.Message {
	get := r.get()
	if get.Wait {
		f.waitFor(get)
	}
	if get.Since == nil {
		return f.members(get.Which)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := wire.EncodeRoster(&f.roster, f.protocol)
	if err != nil {
		f.t.Error(err)
		return nil
	}
	m, _ := e.Delta(xlreg.AllSeats().Minus(cut), get.Which, *get.Since, xlreg.MaxReplyFrame)
	return m
}

// News that are cut, or that do not make the roster which the registry says, make the client
// ask for what it lacks, and it tells what is so in the end.
func TestCutNewsAreFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.addOther("alice")
		f.addOther("bob")
		f.tell(wire.OpGetCluster, func(r request) *wire.Message { return f.news(r, xlreg.SeatsOf(0, 2)) })
		watch := watching(t, client.Watch(t.Context(), f.target(), client.WatchOptions{Options: client.Options{Dialer: f}, Cluster: clusterC}))
		watch.want("+alice +bob")
		after(t, time.Second, func() { f.addOther("carol") }) // whose token the news lack
		watch.want("+carol")
		after(t, time.Second, func() {
			f.change(func(r *xlreg.Roster) { r.Members[0].Token.Seat.Run = "another" }) // alice's is cut, and looks whole
		})
		watch.want("~alice")
		if n := len(f.requests(wire.OpGetCluster)); n != 5 {
			t.Errorf("%d requests", n)
		}
	})
}

// Answers in parts are put together, from the start if the cluster changes meanwhile.
func TestRostersInParts(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	f.roster.Cluster.MaxSize = 40
	for i := range 40 {
		f.addOther(fmt.Sprintf("m%d", i))
	}
	moves := 0
	f.tell(wire.OpGetCluster, func(r request) *wire.Message {
		if moves++; moves == 2 {
			f.change(func(r *xlreg.Roster) { r.Members[0].Token.Seat.Run = "another" })
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		e := must[*wire.EncodedRoster](t)(wire.EncodeRoster(&f.roster, f.protocol))
		return e.Message(r.get().Which, 8<<10)
	})
	r := must[*client.Roster](t)(f.dial(nil).Members(t.Context(), clusterC))
	if len(r.Members) != 40 || r.Members[0].Token.Seat.Run != "another" || moves < 4 {
		t.Errorf("%d members after %d requests", len(r.Members), moves)
	}
	for i := range r.Members {
		if r.Members[i].Index != i {
			t.Fatalf("member %d has index %d", i, r.Members[i].Index)
		}
	}
}

// A fresh start whose epoch moves on, or whose connection ends, joins again with the same
// run, and refusals of the last epoch pass.
func TestFreshJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		f.tell(wire.OpGetCluster, f.wait)
		f.tell(wire.OpJoin, func(r request) *wire.Message {
			switch len(f.requests(wire.OpJoin)) {
			case 1:
				return wire.NewError(xlreg.ErrClusterFull)
			case 2:
				return wire.NewError(xlreg.ErrMemberNameInUse)
			case 3:
				return nil // the connection ends
			}
			return f.usual(r)
		})
		after(t, 10*time.Second, func() { // the others begin anew
			f.change(func(r *xlreg.Roster) { r.State.Epoch++; r.Members = nil })
		})
		after(t, 20*time.Second, func() { f.addOther("alice"); f.addOther("bob") })
		o := f.formOptions(newNode(t, "n"))
		o.Fresh = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		m, err := client.Form(ctx, f.target(), o)
		if err != nil || m.Roster().State.Epoch != 2 || len(m.Roster().Members) != 3 {
			t.Fatalf("got %v", err)
		}
		joins := f.requests(wire.OpJoin)
		for i, r := range joins {
			asked := must[wire.JoinRequest](t)(r.Join(f.protocol))
			if first := must[wire.JoinRequest](t)(joins[0].Join(f.protocol)); !asked.Fresh || asked.Run == "" || asked.Run != first.Run {
				t.Errorf("join %d is %+v", i, asked)
			}
		}
		if len(joins) != 5 {
			t.Errorf("%d joins", len(joins))
		}
	})
}

// Nothing that is printed or logged shows what is secret in a ticket.
func TestNothingShowsASecret(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	to := keyed(f)
	invite := must[*ticket.Ticket](t)(to.NewInvite(1, time.Time{}))
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.tell(wire.OpJoin, func(request) *wire.Message { return wire.NewError(xlreg.ErrNotAdmitted) })
	f.tell(wire.OpOrder, func(request) *wire.Message { return wire.NewError(xlreg.ErrBadSignature) })
	var shown []string
	for _, one := range []*ticket.Ticket{to, invite} {
		o := f.formOptions(newNodeOf(t, memberKeys()[2], "n"))
		o.Cluster, o.Logger = xlreg.ClusterRef{}, logger
		_, err := client.Form(t.Context(), one, o)
		shown = append(shown, fmt.Sprintf("%v %+v %#v", err, one, *one))
	}
	owner := must[*client.Owner](t)(client.NewOwner(to, client.Options{Dialer: f, Logger: logger}))
	err := owner.Reopen(t.Context())
	shown = append(shown, fmt.Sprintf("%v %+v %v", err, owner, owner), log.String())
	for _, one := range []*ticket.Ticket{to, invite} {
		text := one.Text()
		for _, param := range []string{"owner=", "invite="} {
			_, seed, ok := strings.Cut(text, param)
			if seed, _, _ = strings.Cut(seed, "&"); !ok {
				continue
			}
			for i, text := range shown {
				if strings.Contains(text, seed) {
					t.Errorf("%d shows the seed", i)
				}
			}
		}
	}
}
