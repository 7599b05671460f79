package main

import (
	"bytes"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/launch"
)

// printRoster writes a roster in the format asked for.
func (g *globals) printRoster(r *client.Roster) error {
	if g.Output == "json" {
		text, err := launch.EncodeRoster(r)
		if err != nil {
			return err
		}
		_, err = g.Out.Write(text)
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
	return g.PrintText(&b)
}

func rosterRows(r *client.Roster) ([]view.Row, error) {
	rows := make([]view.Row, len(r.Members))
	for i := range r.Members {
		m := &r.Members[i]
		sig, err := keys.Fingerprint(m.Token.SigKey)
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

func (g *globals) printCluster(c *xlreg.Cluster) error {
	v := struct {
		Cluster view.Cluster `json:"cluster"`
	}{view.NewCluster(c)}
	return g.PrintFields(v, v.Cluster.Fields()...)
}
