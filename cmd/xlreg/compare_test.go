package main

import (
	"bytes"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

// A member that uses the library says what it sees, and one that sees another cluster is
// named.
func TestCompare(t *testing.T) {
	r := xlregtest.Start(t)
	dir := filepath.Join(t.TempDir(), "a")
	call := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args = append([]string{"xlreg"}, append(args, "--registry", r.URL(), "--node", dir)...)
		if code := execute(t.Context(), args, nil, &out, &errs); code != want {
			t.Fatalf("%q: exit code %d, %s", args, code, errs.String())
		}
		return out.String()
	}
	call(0, "join", "web", "--create", "--size", "2", "--name", "a", "--endpoint", "127.0.0.1:4001")
	b := formOther(t, r)
	out := call(0, "compare", "web")
	if !strings.Contains(out, "the same  b\n") || !strings.Contains(out, "sum       "+b.Roster().ShortSum()+"\n") {
		t.Errorf("%s", out)
	}
	if out = call(0, "compare", "web", "-o", "json"); !strings.Contains(out, `"b"`) || !strings.Contains(out, `"other": []`) {
		t.Errorf("%s", out)
	}
}

// formOther makes a member named b that takes connections until the test ends.
func formOther(t *testing.T, r *xlregtest.Registry) *client.Membership {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m, err := client.Form(t.Context(), r.Target(), client.FormOptions{
		Options: client.Options{Node: xlregtest.Node(t, "b")}, Cluster: xlreg.ClusterRef{Name: "web"},
		Size: 2, Listeners: []net.Listener{l},
	})
	if err != nil {
		t.Fatal(err)
	}
	members, err := m.Listen(l)
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := members.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				c.Close()
			}
		}
	})
	t.Cleanup(func() {
		members.Close()
		accepting.Wait()
		m.Close()
	})
	return m
}

func TestComparisonOfWhatDiffers(t *testing.T) {
	named := func(name xlreg.Name) client.Member {
		return client.Member{Member: xlreg.Member{Token: xlreg.Token{Name: name}}}
	}
	c := &client.Comparison{
		Roster: &client.Roster{Cluster: xlreg.Cluster{Name: "web"}, Sum: keys.Sum{1}},
		Same:   []client.Member{named("a"), named("b")},
		Other:  []client.Other{{Member: named("c"), Revision: 5, Sum: keys.Sum{2}}},
		Unknown: []client.Other{
			{Member: named("d"), Err: errors.New("no route\nto it")},
		},
	}
	var out bytes.Buffer
	g := &globals{Globals: &cli.Globals{Console: &cli.Console{Out: &out}}}
	if err := g.printComparison(c); err != nil {
		t.Fatal(err)
	}
	want := "cluster   web\nsum       " + keys.ShortSum(keys.Sum{1}) + "\nthe same  a b\nanother   c: " + keys.ShortSum(keys.Sum{2}) +
		"\nunknown   d: no route?to it\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
