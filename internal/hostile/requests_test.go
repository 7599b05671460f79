package hostile

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/keys"
)

// Intruders of the short form, of each kind, and of the long one.
const (
	fewIntruders  = 20
	manyIntruders = 500
)

// crowd is how many members the cluster has that intruders ask about.
const crowd = 64

// Requests that a registry refuses, or answers at a cost, keep nobody from forming a
// cluster, and what they use of memory and disk is bounded. Loopback addresses have the
// bounds here that any other address has by default.
func TestFloodOfRequests(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(requests))
	if !long() {
		floodWithRequests(t, kinds, fewIntruders)
		return
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { floodWithRequests(t, []string{kind}, manyIntruders) })
	}
}

func floodWithRequests(t *testing.T, kinds []string, each int) {
	s := newSiege(t, boundsOfStrangers()...)
	s.fill(largest, crowd)
	id := s.createKeyed()
	quiet := s.form(1)
	before, disk, begun := s.memory(), s.disk(), time.Now()
	var attacks []*swarm
	for i, kind := range kinds {
		attacks = append(attacks, besiege(t, orders{
			Kind: kind, Connections: each, From: fmt.Sprintf("127.0.1.%d", 1+i),
			To: s.registry.Listen(), Sig: s.target.Fingerprint, Cluster: largest, Keyed: []byte(id),
		}))
	}
	during := s.form(1)
	for _, a := range attacks {
		a.stop()
	}
	s.checkPeak(before, len(kinds)*each)
	s.checkDisk(disk, len(kinds), time.Since(begun))
	t.Logf("a formation took %v, meanwhile %v; memory: before %d KiB, most %d KiB; disk: before %d KiB, then %d KiB",
		quiet, during, before>>10, s.peak>>10, disk>>10, s.disk()>>10)
	s.form(1)
}

// boundsOfStrangers gives a loopback address what another one may do.
func boundsOfStrangers() []string {
	l := guard.DefaultLimits()
	return []string{
		"--max-connections-loopback", fmt.Sprint(l.ConnectionsPerAddress),
		"--new-per-minute-loopback", fmt.Sprint(l.ClustersPerMinute),
		"--writes-per-minute-loopback", fmt.Sprint(l.WritesPerMinute),
		"--read-mib-per-minute-loopback", fmt.Sprint(l.ReadMiBPerMinute),
	}
}

// createKeyed makes a cluster with a key, of which nobody else knows the owner.
func (s *siege) createKeyed() xlreg.ClusterID {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, s.target, client.Options{Node: s.members[0]})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Register(ctx); err != nil {
		s.t.Fatal(err)
	}
	made, err := c.Create(ctx, client.CreateOptions{Name: keyed, Size: formation, Owner: keys.NewOwner()})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

// disk returns how many bytes the registry's files have.
func (s *siege) disk() int64 {
	s.t.Helper()
	var all int64
	err := filepath.WalkDir(s.data, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all += info.Size()
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// checkDisk holds the files against what so many addresses may write in that time.
func (s *siege) checkDisk(before int64, addresses int, passed time.Duration) {
	s.t.Helper()
	l := guard.DefaultLimits()
	writes := float64(l.WritesPerMinute) * (l.WriteBurst + passed).Minutes() * float64(addresses)
	if most := before + int64(writes)*guard.WriteUnit; s.disk() > most {
		s.t.Errorf("%d KiB on disk, at most %d KiB are allowed", s.disk()>>10, most>>10)
	}
}
