package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// seatsDir is where in its directory a node keeps how it joined clusters, a file for each:
// ID@PLACE.json, where ID is the cluster's and PLACE as in seats.place. Older programs kept
// NAME.json, although several clusters can have one name.
const (
	seatsDir = "seats"
	seatExt  = ".json"
	seatAt   = "@" // no name has it
)

// keptSeat is how a node joined a cluster over 2.0. A later join of the same node, which
// only looks or renews the certificate, asks for the same, so that the program that runs as
// the member does not take it for another one with its key.
type keptSeat struct {
	Cluster     string            `json:"cluster,omitempty"` // its ID, in hex
	Name        xlreg.Name        `json:"name,omitempty"`
	Key         string            `json:"key,omitempty"`      // the cluster's own; none: an open cluster
	Registry    string            `json:"registry,omitempty"` // as in seats
	Run         string            `json:"run"`                // in hex
	LeaseMillis int64             `json:"leaseMillis,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// seats are what a node keeps of its clusters at one registry.
type seats struct {
	dir      string
	registry string // fingerprint of the first of its sig keys, as far as the node knows
}

func seatsOf(node *identity.Node, target *regcred.Target) *seats {
	return &seats{
		dir:      filepath.Join(node.Dir(), seatsDir),
		registry: firstKey(node.Registries(), target.Fingerprint),
	}
}

// firstKey returns the sig key from which the one with the fingerprint sig has descended. It
// stays the same when the registry gets its next key.
func firstKey(known []identity.KnownRegistry, sig string) string {
	for range known { // and not for ever, should they lead in a circle
		before := slices.IndexFunc(known, func(r identity.KnownRegistry) bool { return r.Next == sig })
		if before < 0 {
			break
		}
		sig = known[before].Sig
	}
	return sig
}

// place stands for all that is known of a cluster before it is joined by name: its registry,
// its key if it has one, and its name.
func (s *seats) place(name xlreg.Name, key xlreg.ClusterKey) string {
	sum := sha256.Sum256([]byte(s.registry + "\n" + keyText(key) + "\n" + string(name)))
	return hex.EncodeToString(sum[:16])
}

func keyText(key xlreg.ClusterKey) string {
	if key == "" {
		return ""
	}
	return keys.FormatClusterKey(key)
}

// read returns what is kept for a cluster, named by name or ID; nil if that is nothing.
func (s *seats) read(ref xlreg.ClusterRef) (*keptSeat, error) {
	pattern := "*" + seatAt + s.place(ref.Name, ref.Key) + seatExt
	if ref.ID != "" {
		pattern = ref.ID.String() + seatAt + "*" + seatExt
	}
	for _, path := range s.find(pattern) {
		kept, err := readSeatFile(path)
		if err != nil || ref.ID == "" || kept != nil && kept.Registry == s.registry {
			return kept, err
		}
	}
	if ref.ID != "" {
		return s.readFormerByID(ref.ID), nil
	}
	return readSeatFile(s.formerPath(ref.Name))
}

// readFormerByID looks through the files that are named by name. A damaged one may be any
// other cluster's.
func (s *seats) readFormerByID(id xlreg.ClusterID) *keptSeat {
	for _, path := range s.find("*" + seatExt) {
		if strings.Contains(filepath.Base(path), seatAt) {
			continue
		}
		kept, err := readSeatFile(path)
		if err == nil && kept != nil && kept.Cluster == id.String() {
			return kept
		}
	}
	return nil
}

// find returns the paths of the files that match; what a crash has left of a write does not.
func (s *seats) find(pattern string) []string { return findIn(s.dir, pattern) }

func findIn(dir, pattern string) []string {
	names, err := fs.Glob(os.DirFS(dir), pattern)
	if err != nil { // the pattern's own fault
		return nil
	}
	for i := range names {
		names[i] = filepath.Join(dir, names[i])
	}
	return names
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

// write keeps how the node has joined c, in place of what was kept for it.
func (s *seats) write(c *xlreg.Cluster, kept *keptSeat) error {
	kept.Cluster, kept.Name, kept.Key, kept.Registry = c.ID.String(), c.Name, keyText(c.Key), s.registry
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(s.dir, c.ID.String()+seatAt+s.place(c.Name, c.Key)+seatExt)
	if err := atomicfile.Write(path, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return s.removeBut(path, c)
}

// forget is for a node that has left: it joins anew with what it is told then.
func (s *seats) forget(c *xlreg.Cluster) error {
	return errors.Join(s.removeBut("", c), s.removeSaved("", c))
}

// removeBut removes the files of c, and of clusters that had its place before, except one.
func (s *seats) removeBut(path string, c *xlreg.Cluster) error {
	all := s.find("*" + seatAt + s.place(c.Name, c.Key) + seatExt)
	former := s.formerPath(c.Name)
	kept, err := readSeatFile(former)
	if err != nil || kept != nil && (kept.Cluster == "" || kept.Cluster == c.ID.String()) {
		all = append(all, former)
	}
	for _, one := range all {
		if one == path {
			continue
		}
		if err := os.Remove(one); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *seats) formerPath(cluster xlreg.Name) string {
	return filepath.Join(s.dir, string(cluster)+seatExt)
}

// remember makes o ask for what the node asked for when it last joined, as far as the
// command line says nothing else. A program that is started is a new run.
func (o *joining) remember(starts bool) error {
	if o.Protocol.Classic() && o.Protocol != 0 {
		return nil
	}
	kept, err := seatsOf(o.Node, o.place.registry()).read(o.place.ref)
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
	return seatsOf(o.Node, o.place.registry()).write(&c, &keptSeat{
		Run: hex.EncodeToString([]byte(run)), LeaseMillis: o.Lease.Milliseconds(), Labels: o.Labels,
	})
}
