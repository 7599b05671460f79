package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
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
	if err := g.describeRoster(&b, r, g.Out); err != nil {
		return err
	}
	return g.PrintText(&b)
}

// describeRoster writes a roster for people, laid out for where it will be shown.
func (g *globals) describeRoster(w io.Writer, r *client.Roster, on any) error {
	wide := g.Output == "wide"
	g.describeCluster(w, r)
	if len(r.Members) == 0 {
		return nil
	}
	rows, err := rosterRows(r)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	// Other programs read one line for each member, unless COLUMNS says how wide it may be.
	fold := cli.IsTerminal(on) || os.Getenv("COLUMNS") != ""
	return view.WriteTable(w, rows, view.Layout{Width: cli.Width(on), Fold: fold, Wide: wide, Now: time.Now()})
}

// describeCluster writes what there is to say of a cluster besides its members.
func (g *globals) describeCluster(w io.Writer, r *client.Roster) {
	wide := g.Output == "wide"
	id := view.ShortID(r.Cluster.ID)
	if wide {
		id = r.Cluster.ID.String()
	}
	fmt.Fprintf(w, "cluster %s  %s\n%s\n", r.Cluster.Name, id, view.CountMembers(len(r.Members), r.Cluster.MaxSize))
	describeState(w, r, wide)
}

// describeState writes what there is to say of a cluster over 2.0 besides its members.
func describeState(w io.Writer, r *client.Roster, wide bool) {
	if key := keys.FormatClusterKey(r.Cluster.Key); key != "" {
		if !wide {
			key = key[:12] + "…"
		}
		fmt.Fprintf(w, "key %s%s\n", key, pinText(r.Pinned))
	}
	if wide && r.State.Revision > 0 {
		fmt.Fprintf(w, "epoch %d, revision %d\n", r.State.Epoch, r.State.Revision)
	}
	if sum := r.ShortSum(); sum != "" {
		fmt.Fprintf(w, "sum %s\n", sum)
	}
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
			Fingerprint: sig, Joined: m.Token.Seat.Joined, Verified: m.Verified,
			Seen: m.Token.Seat.Seen, Labels: labelTexts(m.Labels()),
		}
	}
	return rows, nil
}

// labelTexts returns labels as people read them, in the order of their keys. A value that
// could be taken for something else, or could steer a terminal, is quoted.
func labelTexts(labels map[string]string) []string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value := labels[key]
		if strings.ContainsFunc(value, isOdd) || value == "" {
			value = strconv.Quote(value)
		}
		texts = append(texts, key+"="+value)
	}
	return texts
}

func isOdd(r rune) bool { return r == ',' || r == ' ' || r == '"' || !unicode.IsPrint(r) }

func (g *globals) printCluster(c *xlreg.Cluster) error {
	v := struct {
		Cluster view.Cluster `json:"cluster"`
	}{view.NewCluster(c)}
	return g.PrintFields(v, v.Cluster.Fields()...)
}
