package torture

import (
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

// The journal is seen to notice each thing that must not be, and nothing else.
func TestJournalNotices(t *testing.T) {
	const a, b = xlreg.NodeID("aaaaaaaaaaaaaaaaaaaa"), xlreg.NodeID("bbbbbbbbbbbbbbbbbbbb")
	ann, bob := who{"ann", "ann's key"}, who{"bob", "bob's key"}
	cluster := xlreg.Cluster{ID: "cccccccccccccccccccc", Name: "c", MaxSize: 2, EndpointCount: 1}
	seat := func(n who, id xlreg.NodeID, index int) client.Member {
		return client.Member{Member: xlreg.Member{Index: index, Token: xlreg.Token{
			Name: n.name, SigKey: n.key, ID: id, Endpoints: []xlreg.Endpoint{"127.0.0.1:1024"},
		}}}
	}
	shows := func(w *world, members ...client.Member) {
		w.readQuiet(&client.Roster{Cluster: cluster, Members: members})
	}
	for _, c := range []struct {
		name  string
		then  func(*world)
		fault bool
	}{
		{"as it was", func(w *world) { shows(w, seat(ann, a, 0)) }, false},
		{"a seat is lost", func(w *world) { shows(w) }, true},
		{"a seat moves", func(w *world) { shows(w, seat(ann, a, 0)); shows(w, seat(ann, a, 1)) }, true},
		{"a seat nobody took", func(w *world) { shows(w, seat(ann, a, 0), seat(bob, b, 1)) }, true},
		{"another's ID in a seat", func(w *world) { shows(w, seat(ann, b, 0)) }, true},
		{"an ID nobody has", func(w *world) { shows(w, seat(ann, "dddddddddddddddddddd", 0)) }, true},
		{"an index twice", func(w *world) { w.joined(cluster.ID, bob, b); shows(w, seat(ann, a, 0), seat(bob, b, 0)) }, true},
		{"an index beyond the size", func(w *world) { shows(w, seat(ann, a, 2)) }, true},
		{"an ID given twice", func(w *world) { w.registered(bob, a, 1024) }, true},
		{"a name with two clusters", func(w *world) { w.created(xlreg.Cluster{ID: "dddddddddddddddddddd", Name: "c"}) }, true},
		{"a cluster that changes", func(w *world) { c := cluster; c.MaxSize++; w.created(c) }, true},
		{"a member is refused as one too many", func(w *world) { w.joinRefused(cluster.ID, ann) }, true},
		{"a member is told it is none", func(w *world) { w.leaveRefused(cluster.ID, ann, a) }, true},
		{"one that is none leaves", func(w *world) { w.left(cluster.ID, bob, b) }, true},
		{"a Join in doubt happened", func(w *world) { w.joinLost(cluster.ID, bob, b); shows(w, seat(ann, a, 0), seat(bob, b, 1)) }, false},
		{"a Join in doubt did not", func(w *world) { w.joinLost(cluster.ID, bob, b); shows(w, seat(ann, a, 0)) }, false},
		{"but is settled once seen", func(w *world) {
			w.joinLost(cluster.ID, bob, b)
			shows(w, seat(ann, a, 0))
			shows(w, seat(ann, a, 0), seat(bob, b, 1))
		}, true},
		{"a Leave in doubt happened", func(w *world) { w.leaveLost(cluster.ID, ann, a); shows(w) }, false},
		{"a Leave in doubt did not", func(w *world) { w.leaveLost(cluster.ID, ann, a); shows(w, seat(ann, a, 0)) }, false},
		{"left and back at another index", func(w *world) {
			shows(w, seat(ann, a, 0))
			w.left(cluster.ID, ann, a)
			w.joined(cluster.ID, ann, a)
			shows(w, seat(ann, a, 1))
		}, false},
		{"left and still there", func(w *world) { w.left(cluster.ID, ann, a); shows(w, seat(ann, a, 0)) }, true},
		{"an old registration in the seat", func(w *world) {
			w.registered(ann, a, 1025)
			w.joined(cluster.ID, ann, a)
			shows(w, seat(ann, a, 0))
		}, true},
		{"a registration in doubt in the seat", func(w *world) {
			w.registered(ann, a, 1025)
			w.registerLost(a, 1024)
			w.joined(cluster.ID, ann, a)
			shows(w, seat(ann, a, 0))
		}, false},
		{"a Join in doubt happens late, through another server", func(w *world) {
			w.lingers = true
			w.joinLost(cluster.ID, bob, b)
			shows(w, seat(ann, a, 0))
			shows(w, seat(ann, a, 0), seat(bob, b, 1))
		}, false},
		{"a Leave in doubt happens late, through another server", func(w *world) {
			w.lingers, w.places = true, make(map[placeKey]*place)
			w.joined(cluster.ID, ann, a)
			w.leaveLost(cluster.ID, ann, a)
			shows(w, seat(ann, a, 0))
			shows(w)
		}, false},
		{"but nothing comes late when all is at rest", func(w *world) {
			w.lingers = true
			w.joinLost(cluster.ID, bob, b)
			w.rest()
			shows(w, seat(ann, a, 0))
			shows(w, seat(ann, a, 0), seat(bob, b, 1))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.registered(ann, a, 1024)
			w.registered(bob, b, 1024)
			w.created(cluster)
			w.joined(cluster.ID, ann, a)
			c.then(w)
			if w.failed() != c.fault {
				t.Errorf("found %v", w.faults)
			}
		})
	}
}
