package hostile

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

const (
	formation  = 16 // members of the clusters that are formed meanwhile
	ownAddress = "127.0.0.1"
	attackers  = "127.0.0.2"
	largest    = "largest" // a full cluster for those who ask much and read nothing
)

// flood is one attack, and what it may do to others.
type flood struct {
	kind        string
	from        string
	addresses   int // how many the attackers have, from the first on
	connections int
	ratio       float64 // how much longer a formation may take
}

var floods = []flood{
	{"says nothing", attackers, 1, 10_000, 3},
	{"a byte a second", attackers, 1, 10_000, 3},
	{"half a Hello", attackers, 1, 10_000, 3},
	{"half a TLS record", attackers, 1, 10_000, 3},
	{"reads nothing", attackers, 1, 10_000, 6}, // whose own handshakes take half of both processors
	{"garbage Hellos", attackers, 1, 256, 3},
	{"garbage Hellos, gone at once", attackers, 1, 64, 3},
	{"TLS handshakes", attackers, 1, 256, 3},
	{"garbage Hellos", attackers, 64, 256, 6},
	{"TLS handshakes", attackers, 64, 256, 6},
	{"half a Hello", ownAddress, 1, 10_000, 10},
	{"garbage Hellos", ownAddress, 1, 256, 30},
}

// Formations go on while attackers flood a registry, its memory stays within
// bounds, and is given back when they have gone. In the short form all attack at
// once, a few of each kind; in the long form one kind after the other, each as
// many as it can be, and times count.
func TestFlood(t *testing.T) {
	if !long() {
		floodAtOnce(t)
		return
	}
	for _, f := range floods {
		t.Run(fmt.Sprintf("%s from %d of %s", f.kind, f.addresses, f.from), f.run)
	}
}

// fewConnections are those of each kind in the short form.
const fewConnections = 50

func floodAtOnce(t *testing.T) {
	s := newSiege(t)
	s.fill(largest, xlreg.MaxClusterSize)
	s.form(1)
	before := s.memory()
	var attacks []*swarm
	for _, f := range fromOneAddress() {
		f.connections = fewConnections
		attacks = append(attacks, besiege(t, f.orders(s)))
	}
	took := s.form(1)
	for _, a := range attacks {
		a.stop()
	}
	s.checkPeak(before, len(attacks)*fewConnections)
	t.Logf("a formation meanwhile took %v, memory: before %d KiB, most %d KiB", took, before>>10, s.peak>>10)
	s.form(1)
}

// fromOneAddress returns the floods that may all go on at once. One of them comes
// from the members' own address and makes it a suspect like the attackers'. Among 64
// more suspects it would have a hundredth of the turns.
func fromOneAddress() []flood {
	return slices.DeleteFunc(slices.Clone(floods), func(f flood) bool { return f.addresses > 1 })
}

func (f *flood) orders(s *siege) orders {
	return orders{
		Kind: f.kind, Connections: f.connections, From: f.from, Addresses: f.addresses,
		To: s.registry.Listen(), Sig: s.target.Fingerprint, Cluster: largest,
	}
}

// rounds are the formations of which the median counts.
const rounds = 9

func (f *flood) run(t *testing.T) {
	s := newSiege(t)
	s.fill(largest, xlreg.MaxClusterSize)
	s.form(rounds)
	quiet := s.form(rounds)
	before := s.memory()
	attack := besiege(t, f.orders(s))
	begun, cpu := time.Now(), s.cpu()
	during := s.form(rounds)
	server := float64(s.cpu()-cpu) / float64(time.Since(begun))
	attack.stop()
	ratio := float64(during) / float64(quiet)
	t.Logf("%d connections: quiet %v, during %v (%.1f times); processors: registry %.2f, attackers %.2f",
		f.connections, quiet, during, ratio, server, attack.share)
	peak := s.peak
	after, took := s.settle(before)
	t.Logf("memory: before %d KiB, most %d KiB, %d KiB %v after", before>>10, peak>>10, after>>10, took)
	if ratio > f.ratio {
		t.Errorf("a formation took %v, %.1f times %v; at most %.0f times is allowed", during, ratio, quiet, f.ratio)
	}
	s.checkPeak(before, f.connections)
	if float64(after) > 1.2*float64(before) {
		t.Errorf("%d KiB of memory a minute later, %d KiB before", after>>10, before>>10)
	}
	s.form(1)
}

// checkPeak holds the most memory that was seen against what so many connections
// may use.
func (s *siege) checkPeak(before int64, connections int) {
	s.t.Helper()
	if most := before + int64(connections)*perConnection + spare; s.peak > most {
		s.t.Errorf("%d KiB of memory while attacked, at most %d KiB are allowed", s.peak>>10, most>>10)
	}
}

// What a registry may use while it is attacked: what a connection holds, and as
// much again that is not collected yet; and what it allocates between collections
// for those that come and go.
const (
	perConnection = 128 << 10
	spare         = 96 << 20
)

// siege is a registry, and members that form clusters on it.
type siege struct {
	t        *testing.T
	registry *child.Registry
	target   *regcred.Target
	data     string // its directory
	members  []*identity.Node
	clusters int
	peak     int64 // most memory seen
}

// newSiege starts a registry that keeps its data on disk.
func newSiege(t *testing.T, args ...string) *siege {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{t: t, data: initData(t)}
	s.registry = startChild(t, child.Config{Program: path, Data: s.data, Args: args})
	if s.target, err = regcred.NewTarget(s.registry.Cred()); err != nil {
		t.Fatal(err)
	}
	for i := range formation {
		node := xlregtest.Node(t, xlreg.Name(fmt.Sprintf("m%d", i)))
		if err := node.SetEndpoints([]xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", 4000+i))}); err != nil {
			t.Fatal(err)
		}
		s.members = append(s.members, node)
	}
	return s
}

// initData makes a registry's data directory with keys that are there already.
func initData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	node, err := identity.Init(dir, identity.Options{Name: "xlReg", Keys: rsaNode(t, 0, "registry").Keys(), Registry: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func startChild(t *testing.T, cfg child.Config) *child.Registry {
	t.Helper()
	r, err := child.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.LogTail())
		}
		if err := r.Kill(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// fill makes a cluster of so many members.
func (s *siege) fill(name xlreg.Name, size int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for i := range size {
		node, err := identity.NewNode(identity.Options{
			Name: xlreg.Name(fmt.Sprintf("l%d", i)), Keys: s.members[0].Keys(), Endpoints: s.members[0].Endpoints(),
		})
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.join(ctx, node, name, size); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *siege) join(ctx context.Context, node *identity.Node, name xlreg.Name, size int) error {
	c, err := client.Dial(ctx, s.target, client.Options{Node: node})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Register(ctx); err != nil {
		return err
	}
	if _, err := c.Create(ctx, client.CreateOptions{Name: name, Size: size}); err != nil {
		return err
	}
	_, err = c.Join(ctx, xlreg.ClusterRef{Name: name})
	return err
}

// form forms as many clusters as rounds, one after the other, and returns the
// median of the times that took. None may take longer than a minute.
func (s *siege) form(rounds int) time.Duration {
	s.t.Helper()
	took := make([]time.Duration, rounds)
	for i := range took {
		begun := time.Now()
		s.formOne()
		took[i] = time.Since(begun)
		s.memory()
	}
	slices.Sort(took)
	return took[rounds/2].Round(time.Millisecond)
}

func (s *siege) formOne() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	s.clusters++
	name := xlreg.Name(fmt.Sprintf("c%d", s.clusters))
	var mu sync.Mutex
	indexes := make(map[int]bool)
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range s.members {
		group.Go(func() error {
			m, err := client.Form(ctx, s.target, client.FormOptions{
				Options: client.Options{Node: node}, Cluster: xlreg.ClusterRef{Name: name}, Size: formation,
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			indexes[m.Self().Index] = true
			return complete(m.Roster())
		})
	}
	if err := group.Wait(); err != nil {
		s.t.Fatalf("formation while attacked: %v", err)
	}
	if len(indexes) != formation {
		s.t.Errorf("%d members have %d indexes", formation, len(indexes))
	}
}

func complete(r *client.Roster) error {
	if len(r.Members) != formation || len(r.Unverified()) > 0 {
		return fmt.Errorf("roster of %d members, of which %v are not verified", len(r.Members), r.Unverified())
	}
	return nil
}

// memory returns what the registry uses, and keeps the most it has seen.
func (s *siege) memory() int64 {
	s.t.Helper()
	n, err := s.registry.Anonymous()
	if err != nil {
		s.t.Fatal(err)
	}
	s.peak = max(s.peak, n)
	return n
}

// cpu returns the processor time that the registry has used.
func (s *siege) cpu() time.Duration {
	s.t.Helper()
	used, err := s.registry.CPU()
	if err != nil {
		s.t.Fatal(err)
	}
	return used
}

// settle waits for the registry to use no more than a fifth above what it did
// before, for at most a minute, and returns what it uses and how long that took.
func (s *siege) settle(before int64) (after int64, took time.Duration) {
	s.t.Helper()
	begun := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		after, took = s.memory(), time.Since(begun)
		if took >= time.Minute || float64(after) <= 1.2*float64(before) {
			return after, took.Round(100 * time.Millisecond)
		}
		<-tick.C
	}
}
