package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/launch"
)

func (g *globals) printJSON(v any) error {
	e := json.NewEncoder(g.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printRoster writes a roster in the format asked for.
func (g *globals) printRoster(r *client.Roster) error {
	if g.output == "json" {
		return g.printJSON(launch.NewRosterJSON(r))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "cluster %s  %s\n%s\n", r.Cluster.Name, r.Cluster.ID, countMembers(r))
	if len(r.Members) > 0 {
		b.WriteByte('\n')
		if err := writeRosterTable(&b, r); err != nil {
			return err
		}
	}
	return g.printText(&b)
}

// printText writes text at once, so that it is not mixed with that of another
// program on the same terminal.
func (g *globals) printText(b *bytes.Buffer) error {
	g.freshLine()
	_, err := g.out.Write(b.Bytes())
	return err
}

// countMembers says how many are there of how many. Original servers tell the
// size only to who creates or joins.
func countMembers(r *client.Roster) string {
	if r.Cluster.MaxSize == 0 {
		return fmt.Sprintf("%d members", len(r.Members))
	}
	return fmt.Sprintf("%d of %d members", len(r.Members), r.Cluster.MaxSize)
}

func writeRosterTable(w io.Writer, r *client.Roster) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "INDEX\tNAME\tID\tENDPOINTS\tSIG KEY\tVERIFIED")
	for i := range r.Members {
		m := &r.Members[i]
		sig, err := keys.Fingerprint(m.Token.SigKey)
		if err != nil {
			return fmt.Errorf("member %s: %w", m.Token.Name, err)
		}
		verified := "yes"
		if !m.Verified {
			verified = "no"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", m.Index, m.Token.Name, shortID(m.Token.ID),
			joinEndpoints(m.Token.Endpoints), sig, verified)
	}
	return table.Flush()
}

// shortID is enough of an ID to tell it from others by eye.
func shortID(id xlreg.NodeID) string { return id.String()[:12] + "…" }

func joinEndpoints(list []xlreg.Endpoint) string {
	if len(list) == 0 {
		return "-"
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = string(e)
	}
	return strings.Join(parts, ",")
}

// field is one line of a description.
type field struct{ name, value string }

// printFields writes a description in the format asked for.
func (g *globals) printFields(v any, fields ...field) error {
	if g.output == "json" {
		return g.printJSON(v)
	}
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		fmt.Fprintf(table, "%s\t%s\n", f.name, f.value)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return g.printText(&b)
}

func (g *globals) printCluster(c *xlreg.Cluster) error {
	j := launch.NewClusterJSON(c)
	return g.printFields(struct {
		Cluster launch.ClusterJSON `json:"cluster"`
	}{j},
		field{"name", string(c.Name)}, field{"id", j.ID},
		field{"size", fmt.Sprint(c.MaxSize)}, field{"endpoints", fmt.Sprint(c.EndpointCount)},
		field{"attrs", fmt.Sprintf("%#x", uint64(c.Attrs))})
}
