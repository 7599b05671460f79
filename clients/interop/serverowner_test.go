//go:build linux

package interop_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/ticket"
)

// owned is a cluster with an owner, and clients of which each speaks to one server.
type owned struct {
	t    *testing.T
	all  []language
	f    *fleet
	dir  string
	name string
}

// testOwner has owners give orders at one server that the others heed at once.
func testOwner(t *testing.T, all, owners []language, f *fleet) {
	for _, l := range owners {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			o := &owned{t: t, all: all, f: f, dir: t.TempDir(), name: "owned-" + l.name}
			o.test(l, comers(t, []language{l}, 4, "2.0"))
		})
	}
}

func (o *owned) test(owner language, who []comer) {
	secret, err := ticket.NewOwner(o.f.target, xlreg.Name(o.name), 4, 1)
	if err != nil {
		o.t.Fatal(err)
	}
	single, several, spare := o.invite(secret, 1), o.invite(secret, 0), o.invite(secret, 0)
	o.must(owner, 0, secret, "create", "--node", who[0].dir)
	o.useUp(who, single)

	o.must(owner, 1, several, "join", "--node", who[2].dir, "--endpoint", who[2].endpoint)
	o.must(owner, 2, secret, "evict", who[2].name, "--ban")
	o.everywhere(func(l language, i int) {
		out := o.must(l, i, secret.Reader(), "get")
		if strings.Contains(out, who[2].name) {
			o.t.Errorf("%s sees at server %d who was banned: %s", l.name, i, out)
		}
	})
	o.everywhere(func(l language, i int) { o.refused(l, i, several, who[2+i%2]) })

	o.must(owner, 0, secret, "revoke", o.file(0, spare))
	o.everywhere(func(l language, i int) { o.refused(l, i, spare, who[3]) })

	o.signed(secret, who[3])

	o.must(owner, 2, secret, "delete", "--yes")
	o.everywhere(func(l language, i int) {
		out, err := o.run(l, i, secret.Reader(), "get")
		if err == nil {
			o.t.Errorf("%s finds at server %d what was deleted: %s", l.name, i, out)
		}
	})
}

// useUp has two nodes join with an invite for one, at the same time and at two servers. It
// is good for nobody afterwards, at whichever server.
func (o *owned) useUp(who []comer, single *ticket.Ticket) {
	var joined [2]error
	var wg sync.WaitGroup
	for i := range joined {
		wg.Go(func() {
			_, joined[i] = o.run(o.all[i], 1+i, single, "join", "--node", who[i].dir, "--endpoint", who[i].endpoint)
		})
	}
	wg.Wait()
	lost := slices.IndexFunc(joined[:], func(err error) bool { return err != nil })
	if lost < 0 || joined[1-lost] != nil || !strings.Contains(joined[lost].Error(), "admission refused") {
		o.t.Fatalf("of two with an invite for one: %v", errors.Join(joined[:]...))
	}
	o.everywhere(func(l language, i int) { o.refused(l, i, single, who[2+i%2]) })
}

// signed keeps what each server signs, before and after a member has come. Nobody is
// convicted by it, whoever verifies.
func (o *owned) signed(secret *ticket.Ticket, comes comer) {
	files := make([]string, 2*len(o.all))
	sign := func(from int, want string) {
		o.everywhere(func(l language, i int) {
			files[from+i] = filepath.Join(o.dir, fmt.Sprintf("%d.roster", from+i))
			out := o.must(l, i, secret.Reader(), "get", "--signed", files[from+i])
			if !strings.Contains(out, want) {
				o.t.Errorf("%s sees at server %d %q, want %s", l.name, i, out, want)
			}
		})
	}
	sign(0, "1 of 4 members")
	o.must(o.all[0], 0, secret, "join", "--node", comes.dir, "--endpoint", comes.endpoint)
	sign(len(o.all), "2 of 4 members")
	o.everywhere(func(l language, i int) {
		if err := o.verify(l, i, secret.Reader(), files); err != nil {
			o.t.Error(err)
		}
	})
}

// verify verifies without a server. Each file is held against the others.
func (o *owned) verify(l language, i int, with *ticket.Ticket, files []string) error {
	out, err := run(o.t.Context(), l.command, append(append([]string{"verify"}, files...), "--ticket-file", o.file(i, with))...)
	if err == nil && strings.Count(string(out), "verified") < len(files) {
		err = fmt.Errorf("%s verifies %s", l.name, out)
	}
	return err
}

// everywhere calls f for each language at another server, at the same time.
func (o *owned) everywhere(f func(l language, i int)) {
	var wg sync.WaitGroup
	for i, l := range o.all {
		wg.Go(func() { f(l, i) })
	}
	wg.Wait()
	if o.t.Failed() {
		o.t.FailNow()
	}
}

// refused has a node come with an invite that is good for nothing.
func (o *owned) refused(l language, i int, with *ticket.Ticket, who comer) {
	dir := filepath.Join(o.t.TempDir(), "node") // as others may have the directory at this moment
	if err := os.CopyFS(dir, os.DirFS(who.dir)); err != nil {
		o.t.Error(err)
		return
	}
	private(o.t, dir)
	out, err := o.run(l, i, with, "join", "--node", dir, "--endpoint", who.endpoint)
	if err == nil || !strings.Contains(err.Error(), "admission refused") {
		o.t.Errorf("%s joins at server %d as %s: %v, %s", l.name, i, who.name, err, out)
	}
}

func (o *owned) must(l language, i int, with *ticket.Ticket, command string, args ...string) string {
	out, err := o.run(l, i, with, command, args...)
	if err != nil {
		o.t.Errorf("at server %d: %v", i, err)
	}
	return out
}

// run runs a command with a ticket that leads to one server.
func (o *owned) run(l language, i int, with *ticket.Ticket, command string, args ...string) (string, error) {
	out, err := run(o.t.Context(), l.command, append([]string{command, "--ticket-file", o.file(i, with)}, args...)...)
	return string(out), err
}

// file writes a ticket that leads to one server.
func (o *owned) file(i int, t *ticket.Ticket) string {
	_, rest, _ := strings.Cut(t.Text(), "/?")
	path := filepath.Join(o.t.TempDir(), "ticket")
	if err := os.WriteFile(path, []byte("xlreg://"+o.f.addrs[i]+"/?"+rest+"\n"), 0o600); err != nil {
		o.t.Error(err)
	}
	return path
}

func (o *owned) invite(secret *ticket.Ticket, uses int) *ticket.Ticket {
	o.t.Helper()
	made, err := secret.NewInvite(uses, time.Time{})
	if err != nil {
		o.t.Fatal(err)
	}
	return made
}
