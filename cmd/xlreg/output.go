package main

import (
	"bytes"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/launch"
)

func (g *globals) printJSON(v any) error { return view.WriteJSON(g.out, v) }

// printRoster writes a roster in the format asked for.
func (g *globals) printRoster(r *client.Roster) error {
	if g.output == "json" {
		text, err := launch.EncodeRoster(r)
		if err != nil {
			return err
		}
		_, err = g.out.Write(text)
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "cluster %s  %s\n%s\n", r.Cluster.Name, r.Cluster.ID, view.CountMembers(len(r.Members), r.Cluster.MaxSize))
	if len(r.Members) > 0 {
		b.WriteByte('\n')
		rows, err := rosterRows(r)
		if err != nil {
			return err
		}
		if err := view.WriteTable(&b, rows); err != nil {
			return err
		}
	}
	return g.printText(&b)
}

func rosterRows(r *client.Roster) ([]view.Row, error) {
	rows := make([]view.Row, len(r.Members))
	for i := range r.Members {
		m := &r.Members[i]
		sig, err := identity.Fingerprint(m.Token.SigKey)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.Token.Name, err)
		}
		rows[i] = view.Row{
			Index: m.Index, Name: m.Token.Name, ID: m.Token.ID, Endpoints: m.Token.Endpoints,
			Fingerprint: sig, Verified: m.Verified,
		}
	}
	return rows, nil
}

// printText writes text at once, so that it is not mixed with that of another
// program on the same terminal.
func (g *globals) printText(b *bytes.Buffer) error {
	g.freshLine()
	_, err := g.out.Write(b.Bytes())
	return err
}

// printFields writes a description in the format asked for.
func (g *globals) printFields(v any, fields ...view.Field) error {
	if g.output == "json" {
		return g.printJSON(v)
	}
	var b bytes.Buffer
	if err := view.WriteFields(&b, fields); err != nil {
		return err
	}
	return g.printText(&b)
}

func (g *globals) printCluster(c *xlreg.Cluster) error {
	v := struct {
		Cluster view.Cluster `json:"cluster"`
	}{view.NewCluster(c)}
	return g.printFields(v, v.Cluster.Fields()...)
}
