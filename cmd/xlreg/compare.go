package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
)

func newCompare(g *globals) *cobra.Command {
	var f ticketFlags
	cmd := &cobra.Command{
		Use:   "compare NAME|TICKET",
		Short: "Ask the other members whether they see the same cluster",
		Long: "Ask every other member, as the member that --node names, what it sees of the cluster. The\n" +
			"registry has no part in that: it could show each of them another one. A member answers\n" +
			"where it takes its other connections, if it is a program that uses xlreg's library;\n" +
			"others do not say. If one sees another cluster, it is named, and the exit code is 1.\n\n" + ticketHelp,
		Example: "  xlreg compare web --node ./m0",
		Args:    f.placeArg(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			if g.Protocol.Classic() {
				return cli.UsageError(fmt.Errorf("compare: %w", client.ErrNeeds20))
			}
			p, err := g.place(cmd.Context(), &f, args)
			if err != nil {
				return err
			}
			return g.compare(cmd.Context(), p)
		},
	}
	f.register(cmd)
	return cmd
}

// compareTime bounds the asking of all members, once this one is known to be one.
const compareTime = 30 * time.Second

// compare speaks as a node that is a member already. It joins again as it joined before,
// which changes nothing.
func (g *globals) compare(ctx context.Context, p *place) (err error) {
	node, err := g.openOldNode()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	if err := g.wantMember(ctx, p, node.Keys().SigKey); err != nil {
		return fmt.Errorf("node %s: %w", node.Name(), err)
	}
	o := &joining{place: p}
	o.Node, o.Protocol = node, g.Protocol.Protocol
	if p.ticket == nil {
		o.Cluster, o.JoinOnly = p.ref, true
	}
	if err := o.remember(false); err != nil {
		return err
	}
	m, err := g.joinAtOnce(ctx, o, 0)
	if err != nil {
		return err
	}
	defer m.Close()
	return g.compareAs(ctx, m)
}

// wantMember keeps a node that is no member from becoming one.
func (g *globals) wantMember(ctx context.Context, p *place, key xlreg.SigKey) error {
	roster, err := g.members(ctx, p, nil)
	if err == nil && roster.ByKey(key) == nil {
		err = xlreg.ErrNotMember
	}
	return err
}

func (g *globals) compareAs(ctx context.Context, m *client.Membership) error {
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	c, err := m.Compare(ctx)
	if c == nil {
		return err
	}
	return errors.Join(g.printComparison(c), err)
}

// comparisonJSON is a comparison as scripts read it.
type comparisonJSON struct {
	Cluster  view.Cluster `json:"cluster"`
	Revision uint64       `json:"revision"`
	Sum      string       `json:"sum"`
	Same     []xlreg.Name `json:"same"`
	Other    []otherJSON  `json:"other"`
	Unknown  []otherJSON  `json:"unknown"`
}

type otherJSON struct {
	Name xlreg.Name `json:"name"`
	Sum  string     `json:"sum,omitempty"`
	Why  string     `json:"why,omitempty"`
}

func (g *globals) printComparison(c *client.Comparison) error {
	r := c.Roster
	v := comparisonJSON{
		Cluster: view.NewCluster(&r.Cluster), Revision: r.State.Revision, Sum: r.ShortSum(), Same: []xlreg.Name{},
		Other: others(c.Other), Unknown: others(c.Unknown),
	}
	for i := range c.Same {
		v.Same = append(v.Same, c.Same[i].Token.Name)
	}
	fields := []view.Field{{"cluster", string(r.Cluster.Name)}, {"sum", v.Sum}}
	if len(v.Same) > 0 {
		fields = append(fields, view.Field{"the same", joinNames(v.Same)})
	}
	for _, o := range v.Other {
		fields = append(fields, view.Field{"another", fmt.Sprintf("%s: %s", o.Name, o.Sum)})
	}
	for _, o := range v.Unknown {
		fields = append(fields, view.Field{"unknown", fmt.Sprintf("%s: %s", o.Name, o.Why)})
	}
	return g.PrintFields(v, fields...)
}

func others(list []client.Other) []otherJSON {
	all := make([]otherJSON, len(list))
	for i := range list {
		o := &list[i]
		all[i].Name = o.Member.Token.Name
		if o.Err != nil {
			all[i].Why = cli.Printable(o.Err.Error())
		} else {
			all[i].Sum = keys.ShortSum(o.Sum)
		}
	}
	return all
}

func joinNames(names []xlreg.Name) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return strings.Join(texts, " ")
}
