package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

// seatNode is a node with clusters at registries that are known by name only.
type seatNode struct {
	*testing.T
	node *identity.Node
}

func newSeatNode(t *testing.T) *seatNode {
	dir := filepath.Join(t.TempDir(), "node")
	node, err := identity.Init(dir, identity.Options{Name: "a", Keys: xlregtest.Node(t, "a").Keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	if err := os.Mkdir(filepath.Join(dir, seatsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	return &seatNode{t, node}
}

// fingerprintOf returns the one that the key called name has.
func fingerprintOf(name string) string {
	return keys.FormatFingerprint([32]byte([]byte(strings.Repeat(name, 32))))
}

func (n *seatNode) at(key string) *seats {
	return seatsOf(n.node, &regcred.Target{Fingerprint: fingerprintOf(key)})
}

func webWith(id, key string) *xlreg.Cluster {
	return &xlreg.Cluster{
		ID: xlreg.ClusterID(strings.Repeat(id, 32)), Name: "web", Key: xlreg.ClusterKey(strings.Repeat(key, xlreg.ClusterKeyLen)),
	}
}

func (n *seatNode) write(s *seats, c *xlreg.Cluster, run string) {
	n.Helper()
	if err := s.write(c, &keptSeat{Run: run}); err != nil {
		n.Fatal(err)
	}
}

func (n *seatNode) want(s *seats, ref xlreg.ClusterRef, run string) {
	n.Helper()
	kept, err := s.read(ref)
	if err != nil {
		n.Fatal(err)
	}
	if kept == nil {
		kept = new(keptSeat)
	}
	if kept.Run != run {
		n.Errorf("run %q, want %q", kept.Run, run)
	}
}

// put writes a file as another program would.
func (n *seatNode) put(name, text string) {
	n.Helper()
	if err := os.WriteFile(filepath.Join(n.node.Dir(), seatsDir, name), []byte(text), 0o600); err != nil {
		n.Fatal(err)
	}
}

func (n *seatNode) files() (names []string) {
	n.Helper()
	for _, path := range filesIn(n.T, filepath.Join(n.node.Dir(), seatsDir)) {
		names = append(names, filepath.Base(path))
	}
	return names
}

func byName(key string) xlreg.ClusterRef {
	return xlreg.ClusterRef{Name: "web", Key: webWith("", key).Key}
}

// Clusters of one name, at two registries and of several owners, have a file each.
func TestSeatsOfOneName(t *testing.T) {
	n := newSeatNode(t)
	all := map[string]struct {
		registry, key string
	}{"1": {"A", ""}, "2": {"A", "k"}, "3": {"A", "l"}, "4": {"B", ""}, "5": {"B", "k"}}
	for id, c := range all {
		n.write(n.at(c.registry), webWith(id, c.key), id)
	}
	for id, c := range all {
		n.want(n.at(c.registry), byName(c.key), id)
		n.want(n.at(c.registry), xlreg.ClusterRef{ID: webWith(id, "").ID}, id)
	}
	n.want(n.at("C"), byName(""), "")
	n.want(n.at("B"), byName("l"), "")
	n.want(n.at("B"), xlreg.ClusterRef{ID: webWith("1", "").ID}, "")
	if err := n.at("A").forget(webWith("1", "")); err != nil {
		t.Fatal(err)
	}
	n.want(n.at("A"), byName(""), "")
	n.want(n.at("A"), byName("k"), "2")
	n.want(n.at("B"), byName(""), "4")
	// A cluster that was deleted and created anew has another ID.
	n.write(n.at("A"), webWith("6", "k"), "6")
	n.want(n.at("A"), byName("k"), "6")
	if files := n.files(); len(files) != 4 {
		t.Errorf("there are %q", files)
	}
}

// A registry is the same one with its next keys, in whichever order they are used.
func TestSeatsAfterNextKey(t *testing.T) {
	n := newSeatNode(t)
	n.write(n.at("A"), webWith("1", ""), "1")
	for _, keys := range [][2]string{{"A", "B"}, {"B", "C"}} {
		err := n.node.SetRegistry(identity.KnownRegistry{
			Sig: fingerprintOf(keys[0]), Next: fingerprintOf(keys[1]), ID: xlreg.NodeID(strings.Repeat("i", 32)), NextUntil: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"A", "B", "C"} {
		n.want(n.at(key), byName(""), "1")
		n.want(n.at(key), xlreg.ClusterRef{ID: webWith("1", "").ID}, "1")
	}
	n.write(n.at("C"), webWith("1", ""), "2")
	n.want(n.at("A"), byName(""), "2")
	n.want(n.at("D"), byName(""), "")
	if files := n.files(); len(files) != 1 {
		t.Errorf("there are %q", files)
	}
}

// Two registries that call each other their successors end no program.
func TestSeatsInACircle(t *testing.T) {
	known := []identity.KnownRegistry{{Sig: "a", Next: "b"}, {Sig: "b", Next: "a"}}
	if got := firstKey(known, "a"); got != "a" {
		t.Error(got)
	}
}

// What programs from before have kept under a cluster's name is taken over by that cluster.
func TestSeatsFromBefore(t *testing.T) {
	for what, text := range map[string]string{
		"go":     `{"cluster":"` + webWith("1", "").ID.String() + `","run":"07"}`,
		"python": `{"run": "07"}`,
	} {
		n := newSeatNode(t)
		n.put("web.json", text)
		n.want(n.at("A"), byName(""), "07")
		byID := map[string]string{"go": "07"}[what]
		n.want(n.at("A"), xlreg.ClusterRef{ID: webWith("1", "").ID}, byID)
		n.want(n.at("A"), xlreg.ClusterRef{ID: webWith("2", "").ID}, "")
		if what == "go" { // another cluster leaves it alone
			n.write(n.at("B"), webWith("2", ""), "2")
			if err := n.at("B").forget(webWith("2", "")); err != nil {
				t.Fatal(err)
			}
			n.want(n.at("A"), byName(""), "07")
		}
		n.write(n.at("A"), webWith("1", ""), "1")
		if files := n.files(); len(files) != 1 || files[0] == "web.json" {
			t.Errorf("%s: there are %q", what, files)
		}
		n.put("web.json", text)
		n.want(n.at("A"), byName(""), "1")
		if err := n.at("A").forget(webWith("1", "")); err != nil {
			t.Fatal(err)
		}
		if files := n.files(); len(files) != 0 {
			t.Errorf("%s: %q are left", what, files)
		}
	}
}

// A damaged file is told of to those that need it, and to nobody else.
func TestDamagedSeats(t *testing.T) {
	n := newSeatNode(t)
	n.write(n.at("A"), webWith("1", ""), "1")
	damaged := n.files()[0]
	n.put(damaged, "{")
	n.put("web.json", "{")
	n.put("db.json", "{")
	n.write(n.at("A"), webWith("2", "k"), "2")
	n.want(n.at("A"), byName("k"), "2")
	n.want(n.at("A"), xlreg.ClusterRef{ID: webWith("2", "").ID}, "2")
	n.want(n.at("A"), xlreg.ClusterRef{ID: webWith("3", "").ID}, "")
	n.want(n.at("A"), xlreg.ClusterRef{Name: "other"}, "")
	for file, ref := range map[string]xlreg.ClusterRef{
		damaged: byName(""), damaged + " ": {ID: webWith("1", "").ID}, "db.json": {Name: "db"},
	} {
		_, err := n.at("A").read(ref)
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(file)+": ") || !strings.Contains(err.Error(), ": remove the file") {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := n.at("A").forget(webWith("1", "")); err != nil {
		t.Fatal(err)
	}
	n.want(n.at("A"), byName(""), "")
}

// What is read is what was written.
func TestSeatFileHasAll(t *testing.T) {
	n := newSeatNode(t)
	kept := &keptSeat{Run: "07", LeaseMillis: 5, Labels: map[string]string{"role": "db"}}
	if err := n.at("A").write(webWith("1", "k"), kept); err != nil {
		t.Fatal(err)
	}
	got, err := n.at("A").read(byName("k"))
	if err != nil || !reflect.DeepEqual(got, kept) {
		t.Fatalf("%+v, %v; want %+v", got, err, kept)
	}
	if got.Name != "web" || got.Key != keys.FormatClusterKey(webWith("", "k").Key) || got.Registry != fingerprintOf("A") {
		t.Errorf("%+v does not say which cluster it is", got)
	}
}
