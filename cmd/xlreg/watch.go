package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
)

// watch shows a cluster and then each change, until ctx ends or the cluster is gone.
func (g *globals) watch(ctx context.Context, p *place, node *identity.Node) error {
	o := client.WatchOptions{
		Options: client.Options{Node: node, Protocol: g.Protocol.Protocol, Logger: newTroubles(g)}, Cluster: p.ref,
	}
	o.Stranger = func(err error) {
		if err == nil { // what else there is to say has been told as a trouble
			g.note("the registry is back")
		}
	}
	first := true
	for change, err := range client.Watch(ctx, p.target, o) {
		if err == nil {
			err = g.printChange(&change, first)
		}
		if err != nil {
			return err
		}
		first = false
	}
	return nil
}

// changeJSON is a change as scripts read it, in one line. At first all have come.
type changeJSON struct {
	Time     time.Time   `json:"time"`
	Cluster  xlreg.Name  `json:"cluster"`
	Epoch    uint64      `json:"epoch"`
	Revision uint64      `json:"revision"`
	Sum      string      `json:"sum"`
	Members  int         `json:"members"`
	Size     int         `json:"size"`
	Came     []briefJSON `json:"came"`
	Went     []briefJSON `json:"went"`
	Changed  []briefJSON `json:"changed"`
}

// briefJSON is a member in a change.
type briefJSON struct {
	Index     int               `json:"index"`
	Name      xlreg.Name        `json:"name"`
	ID        string            `json:"id"`
	Endpoints []xlreg.Endpoint  `json:"endpoints"`
	Sig       string            `json:"sig"`
	Labels    map[string]string `json:"labels,omitempty"`
}

func (g *globals) printChange(c *client.Change, first bool) error {
	switch {
	case g.Output == "json":
		v, err := newChangeJSON(c)
		if err == nil {
			tellJSON(g.Out, v)
		}
		return err
	case first:
		return g.printRoster(c.Roster)
	}
	_, err := fmt.Fprint(g.Out, describeChange(c, time.Now()))
	return err
}

// describeChange returns a line for each member, and one for all that they are now.
func describeChange(c *client.Change, now time.Time) string {
	var b strings.Builder
	at := now.Format(time.TimeOnly)
	for _, list := range []struct {
		mark    string
		members []client.Member
	}{{"-", c.Went}, {"+", c.Came}, {"~", c.Changed}} {
		for i := range list.members {
			t := &list.members[i].Token
			fmt.Fprintf(&b, "%s  %s %s  %s\n", at, list.mark, t.Name, view.Endpoints(t.Endpoints))
		}
	}
	r := c.Roster
	fmt.Fprintf(&b, "%s  %s  %s\n", at, view.CountMembers(len(r.Members), r.Cluster.MaxSize), r.ShortSum())
	return b.String()
}

func newChangeJSON(c *client.Change) (v changeJSON, err error) {
	r := c.Roster
	v = changeJSON{
		Time: time.Now().UTC(), Cluster: r.Cluster.Name, Epoch: r.State.Epoch, Revision: r.State.Revision,
		Sum: r.ShortSum(), Members: len(r.Members), Size: r.Cluster.MaxSize,
	}
	for _, list := range []struct {
		to   *[]briefJSON
		from []client.Member
	}{{&v.Came, c.Came}, {&v.Went, c.Went}, {&v.Changed, c.Changed}} {
		if *list.to, err = briefs(list.from); err != nil {
			return v, err
		}
	}
	return v, nil
}

func briefs(members []client.Member) ([]briefJSON, error) {
	all := make([]briefJSON, len(members))
	for i := range members {
		t := &members[i].Token
		sig, err := keys.Fingerprint(t.SigKey)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", t.Name, err)
		}
		all[i] = briefJSON{
			Index: members[i].Index, Name: t.Name, ID: t.ID.String(), Endpoints: view.List(t.Endpoints),
			Sig: sig, Labels: members[i].Labels(),
		}
	}
	return all, nil
}
