package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
)

// seatsDir is where in its directory a node keeps how it joined clusters, a file for each.
const (
	seatsDir = "seats"
	seatExt  = ".json"
)

// keptSeat is how a node joined a cluster over 2.0. A later join of the same node, which
// only looks or renews the certificate, asks for the same, so that the program that runs as
// the member does not take it for another one with its key.
type keptSeat struct {
	Cluster     string            `json:"cluster,omitempty"` // its ID, in hex
	Run         string            `json:"run"`               // in hex
	LeaseMillis int64             `json:"leaseMillis,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// readSeat returns what the node keeps for a cluster, named by name or ID; nil if that is
// nothing.
func readSeat(node *identity.Node, ref xlreg.ClusterRef) (*keptSeat, error) {
	if ref.Name != "" {
		return readSeatFile(seatPath(node, ref.Name))
	}
	dir := filepath.Join(node.Dir(), seatsDir)
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, file := range files {
		if filepath.Ext(file.Name()) != seatExt { // what a crash has left of a write
			continue
		}
		kept, err := readSeatFile(filepath.Join(dir, file.Name()))
		if err != nil || kept != nil && kept.Cluster == ref.ID.String() {
			return kept, err
		}
	}
	return nil, nil
}

func readSeatFile(path string) (*keptSeat, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	kept := new(keptSeat)
	if err := json.Unmarshal(data, kept); err != nil {
		return nil, fmt.Errorf("%s: %w: remove the file", path, err)
	}
	return kept, nil
}

func writeSeat(node *identity.Node, cluster xlreg.Name, kept *keptSeat) error {
	path := seatPath(node, cluster)
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'), 0o600)
}

// forgetSeat is for a node that has left: it joins anew with what it is told then.
func forgetSeat(node *identity.Node, cluster xlreg.Name) error {
	err := os.Remove(seatPath(node, cluster))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func seatPath(node *identity.Node, cluster xlreg.Name) string {
	return filepath.Join(node.Dir(), seatsDir, string(cluster)+seatExt)
}

// remember makes o ask for what the node asked for when it last joined, as far as the
// command line says nothing else. A program that is started is a new run.
func (o *joining) remember(starts bool) error {
	if o.Protocol.Classic() && o.Protocol != 0 {
		return nil
	}
	kept, err := readSeat(o.Node, o.place.ref)
	if err != nil || kept == nil {
		return err
	}
	if !starts && !o.Fresh && !o.TakeOver {
		run, err := hex.DecodeString(kept.Run)
		if err == nil && len(run) <= xlreg.MaxRunLen {
			o.Run = xlreg.Run(run)
		}
		o.Lease = time.Duration(kept.LeaseMillis) * time.Millisecond
	}
	if o.Labels == nil {
		o.Labels = kept.Labels
	}
	return nil
}

// keep notes how the node has joined.
func (o *joining) keep(m *client.Membership) error {
	c, run := m.Cluster(), m.Self().Token.Seat.Run
	if run == "" { // over a classic carrier
		return nil
	}
	return writeSeat(o.Node, c.Name, &keptSeat{
		Cluster: c.ID.String(), Run: hex.EncodeToString([]byte(run)), LeaseMillis: o.Lease.Milliseconds(), Labels: o.Labels,
	})
}
