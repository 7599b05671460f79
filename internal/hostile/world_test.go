package hostile

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// rsaKeys are of the kind that registries and classic peers have. They are made once, since
// that takes long.
var rsaKeys = sync.OnceValues(func() ([]*keys.Set, error) {
	all := make([]*keys.Set, 6)
	var making errgroup.Group
	for i := range all {
		making.Go(func() (err error) {
			all[i], err = keys.Generate(keys.RSA, keys.DefaultBits)
			return err
		})
	}
	return all, making.Wait()
})

// rsaNode makes a node with the i-th of the keys.
func rsaNode(t testing.TB, i int, name xlreg.Name) *identity.Node {
	t.Helper()
	sets, err := rsaKeys()
	if err != nil {
		t.Fatal(err)
	}
	node, err := identity.NewNode(identity.Options{Name: name, Keys: sets[i]})
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// cast is who takes part.
type cast struct {
	registry *identity.Node
	honest   *identity.Node
	rogues   []*rogue
	owner    *keys.Owner   // of a cluster with a key, who speaks through the rogues
	inviter  *keys.Inviter // by whom two of them may come in
}

// keyed is the name of the cluster that has a key.
const keyed = "k0"

// admitted reports whether a seat is held by the owner's leave.
func (c *cast) admitted(cluster *records.Cluster, m *records.Seat) bool {
	a, err := wire.DecodeAdmission(m.Token.Seat.Admission)
	return err == nil && cluster.Key == c.owner.Public() &&
		keys.VerifyAdmission(cluster.Name, cluster.Key, m.Token.SigKey, a) == nil
}

// rogue is a node whose messages are tampered with on their way.
type rogue struct {
	node *identity.Node
	cert *tls.Certificate
}

func newCast(t testing.TB) *cast {
	t.Helper()
	c := &cast{registry: rsaNode(t, 0, "registry"), honest: rsaNode(t, 1, "honest"), owner: keys.NewOwner()}
	var err error
	if c.inviter, err = c.owner.Invite(keyed, time.Time{}, 2); err != nil {
		t.Fatal(err)
	}
	setEndpoint(t, c.honest, "127.0.0.1:4000")
	for i, name := range []xlreg.Name{"m0", "m1", "m2", "m0"} {
		node := rsaNode(t, 2+i, name)
		setEndpoint(t, node, xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", 5000+i)))
		der, err := node.Certificate(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c.rogues = append(c.rogues, &rogue{node, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: node.Keys().Sig.Signer()}})
	}
	return c
}

func setEndpoint(t testing.TB, n *identity.Node, e xlreg.Endpoint) {
	t.Helper()
	if err := n.SetEndpoints([]xlreg.Endpoint{e}); err != nil {
		t.Fatal(err)
	}
}

// still is a clock by which nothing lasts: no lease runs out in a world.
type still struct {
	registry.SystemClock
	at time.Time
}

// Monotonic implements registry.Clock.
func (s still) Monotonic() time.Time { return s.at }

// world is a registry in this process, whose every record can be seen.
type world struct {
	t     testing.TB
	cast  *cast
	host  *host.Host
	data  *ledger
	comms *rsa.PublicKey
	ids   []xlreg.NodeID // that rogues were given
	pool  [][]byte       // contents of fields that were seen
	held  int            // connections that have not ended
	log   *bytes.Buffer  // written by the registry until it has stopped
	stop  func() error   // may be called again
}

// meanLimits are short, so that what never comes is soon given up.
var meanLimits = guard.Limits{Message: 20 * time.Millisecond, Drain: 5 * time.Second}

const shortWait = 20 * time.Millisecond

func newWorld(t testing.TB, cast *cast) *world {
	t.Helper()
	w := &world{t: t, cast: cast, data: newLedger(), log: new(bytes.Buffer)}
	h, err := host.Open(host.Config{
		Node: cast.registry, Store: w.data, Listen: []string{"127.0.0.1:0"}, MaxWait: shortWait, Limits: meanLimits,
		Clock:  still{at: time.Now()},
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.host, w.comms = h, cast.registry.Keys().Comms.Signer().Public().(*rsa.PublicKey)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-served, h.Close(), w.data.Close())
	})
	return w
}

// inWorld runs f in a new world, and then checks that nothing in it has come to
// harm and that nothing is left of it.
func inWorld(t testing.TB, cast *cast, f func(*world)) {
	t.Helper()
	others := goleak.IgnoreCurrent()
	w := newWorld(t, cast)
	defer func() { _ = w.stop() }() // after a fatal fault
	f(w)
	w.checkQuiet()
	w.checkHonest()
	w.checkRecords()
	if err := w.stop(); err != nil {
		t.Errorf("stop registry: %v", err)
	}
	if strings.Contains(w.log.String(), "level=ERROR") || w.host.Stats().Panics > 0 {
		t.Errorf("%d panics, the registry logged: %s", w.host.Stats().Panics, w.log)
	}
	if err := goleak.Find(others); err != nil {
		t.Errorf("left behind: %v", err)
	}
}

// checkQuiet waits for every connection to be gone.
func (w *world) checkQuiet() {
	w.t.Helper()
	w.held = 0
	w.settle()
}

// settle waits until the registry has done all that it does beside the requests: what the
// end of a connection asks for, and to take away the rest of clusters that are gone.
func (w *world) settle() {
	w.t.Helper()
	end := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for w.host.Stats().Open > w.held || w.remains() {
		if time.Now().After(end) {
			w.t.Fatalf("%d connections are open, of %d; or something is left of a cluster that is gone", w.host.Stats().Open, w.held)
		}
		<-tick.C
	}
}

// remains reports whether there is something yet of a cluster that is gone, but its stone.
func (w *world) remains() (left bool) {
	for _, id := range w.data.clustersEver() {
		err := w.data.View(context.Background(), func(tx store.Reader) error {
			r := records.NewReader(tx)
			c, err := r.Cluster(id)
			if err != nil || c.Deleted.IsZero() {
				return err
			}
			rest, err := r.Remains(id, 1)
			left = left || len(rest) > 0 || c.LastOrder == nil
			return err
		})
		if err != nil && !records.IsNotFound(err) {
			w.t.Errorf("store: %v", err)
		}
	}
	return left
}

// checkHonest does what any client does.
func (w *world) checkHonest() {
	w.t.Helper()
	target, err := regcred.NewTarget(w.host.Cred())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := formPair(ctx, target, w.cast.honest); err != nil {
		w.t.Errorf("an honest client: %v", err)
	}
}

// checkRecords holds all there is in the store against the rules.
func (w *world) checkRecords() {
	w.t.Helper()
	check := func(f func(records.Reader) error) {
		err := w.data.View(context.Background(), func(tx store.Reader) error { return f(records.NewReader(tx)) })
		if err != nil {
			w.t.Errorf("store: %v", err)
		}
	}
	for id := range w.data.nodes {
		check(func(r records.Reader) error { return w.checkNode(r, id) })
	}
	for id := range w.data.clusters {
		check(func(r records.Reader) error { return w.checkCluster(r, id) })
	}
	if len(w.data.passed) > 0 {
		w.t.Errorf("IDs that passed to another key: %v", w.data.passed)
	}
}

func (w *world) checkNode(r records.Reader, id xlreg.NodeID) error {
	n, err := r.Node(id)
	if err != nil {
		return err // names the node
	}
	node := n.Token
	if node.ID != id || w.data.clusters[xlreg.ClusterID(id)] || id == w.host.Cred().ID {
		return errors.New("an ID of two")
	}
	return w.checkSaid(&node)
}

// checkSaid holds a record against what its node has signed.
func (w *world) checkSaid(kept *xlreg.Token) error {
	for _, node := range w.cast.nodes() {
		set := node.Keys()
		if kept.SigKey != set.SigKey {
			continue
		}
		if kept.Name == node.Name() && kept.CommsKey == set.CommsKey && kept.Attrs == node.Attrs() &&
			fmt.Sprint(kept.Endpoints) == fmt.Sprint(node.Endpoints()) {
			return nil
		}
		return fmt.Errorf("%q, %v, %v is not what its node signed", kept.Name, kept.Attrs, kept.Endpoints)
	}
	return errors.New("a key that nobody here has")
}

func (c *cast) nodes() []*identity.Node {
	all := []*identity.Node{c.honest}
	for _, r := range c.rogues {
		all = append(all, r.node)
	}
	return all
}

func (w *world) checkCluster(r records.Reader, id xlreg.ClusterID) error {
	c, err := r.Cluster(id)
	if records.IsNotFound(err) {
		return nil // it was ephemeral, and has gone
	}
	if err != nil {
		return err
	}
	named, err := r.ClusterByName(c.Name, c.Key)
	if err == nil && named.ID != id || err != nil && c.Deleted.IsZero() {
		return fmt.Errorf("name %q leads to %v, %v", c.Name, named.ID, err)
	}
	if !c.Deleted.IsZero() {
		return nil // what is left of it may go at any time
	}
	if err := c.Name.Validate(); err != nil {
		return err
	}
	if c.MaxSize < 2 || c.MaxSize > xlreg.MaxClusterSize || c.EndpointCount < 1 || c.EndpointCount > xlreg.MaxEndpoints {
		return fmt.Errorf("size %d, %d endpoints", c.MaxSize, c.EndpointCount)
	}
	seats, err := r.Members(&c)
	if err != nil {
		return err
	}
	return w.checkSeats(r, &c, seats)
}

func (w *world) checkSeats(r records.Reader, c *records.Cluster, seats []records.Seat) error {
	var taken xlreg.Seats
	ids, names := make(map[xlreg.NodeID]bool), make(map[xlreg.Name]bool)
	for i := range seats {
		m := &seats[i]
		if m.Index < 0 || m.Index >= c.MaxSize {
			return fmt.Errorf("index %d of %d", m.Index, c.MaxSize)
		}
		if _, err := r.Node(m.Token.ID); err != nil {
			return fmt.Errorf("seat %d of an unknown node: %w", m.Index, err)
		}
		if err := w.checkSaid(&m.Token); err != nil {
			return fmt.Errorf("seat %d: %w", m.Index, err)
		}
		if c.Key != "" && !w.cast.admitted(c, m) {
			return fmt.Errorf("seat %d of %q, whom the owner has not admitted", m.Index, m.Token.Name)
		}
		taken = taken.With(m.Index)
		ids[m.Token.ID], names[m.Token.Name] = true, true
	}
	if taken != c.Taken || len(ids) != len(seats) || len(names) != len(seats) {
		return fmt.Errorf("%d seats, %d IDs, %d names, the seats %v and %v", len(seats), len(ids), len(names), taken, c.Taken)
	}
	return nil
}

// formPair registers a node, has it make a cluster and join, read it and leave.
func formPair(ctx context.Context, target *regcred.Target, node *identity.Node) error {
	c, err := client.Dial(ctx, target, client.Options{Node: node})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Register(ctx); err != nil {
		return err
	}
	ref := xlreg.ClusterRef{Name: "honest"}
	if _, err := c.Create(ctx, client.CreateOptions{Name: ref.Name, Size: 2}); err != nil {
		return err
	}
	if _, err := c.Join(ctx, ref); err != nil {
		return err
	}
	roster, err := c.Members(ctx, ref)
	if err != nil {
		return err
	}
	if m := roster.ByName(node.Name()); m == nil || !m.Verified {
		return fmt.Errorf("roster without a verified %s", node.Name())
	}
	return c.Leave(ctx, ref)
}
