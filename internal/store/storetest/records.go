package storetest

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

func testNotFound(t *testing.T, s store.Store) {
	check := func(r store.Reader) error {
		return errors.Join(wantNoNode(r, nodeID(1)), wantNoCluster(r, cluster(1).Cluster), wantSeats(r, clusterID(1)))
	}
	view(t, s, check)
	update(t, s, func(w store.Writer) error { return check(w) })
}

func testNode(t *testing.T, s store.Store) {
	first, other := node(1), node(2)
	update(t, s, putAll(putNode(first), putNode(other)))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantNode(r, first), wantNode(r, other), wantNoNode(r, nodeID(3)))
	})

	later := first
	later.Name = "renamed"
	later.Endpoints = later.Endpoints[:1]
	later.Joined = time.Time{}
	update(t, s, putNode(later))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantNode(r, later), wantNode(r, other))
	})
}

// What is not kept of a token is gone even within the transaction.
func testNodeNormalised(t *testing.T, s store.Store) {
	given := node(1)
	given.DigSig = []byte("a secretless but classic signature")
	given.Endpoints = []xlreg.Endpoint{}
	given.DigSig2 = []byte{}
	given.Certificate = []byte{}
	given.Joined = time.UnixMilli(1234).Add(567 * time.Microsecond).In(time.FixedZone("x", 3600))

	want := given
	want.DigSig, want.Endpoints, want.DigSig2, want.Certificate = nil, nil, nil, nil
	want.Joined = time.UnixMilli(1234).UTC()
	check := func(r store.Reader) error {
		return errors.Join(wantNode(r, want), wantSeats(r, clusterID(1), xlreg.Member{Index: 0, Token: want}))
	}
	update(t, s, func(w store.Writer) error {
		put := putAll(putNode(given), putSeat(clusterID(1), xlreg.Member{Token: given}))
		return errors.Join(put(w), check(w))
	})
	view(t, s, check)
}

func testCluster(t *testing.T, s store.Store) {
	first, other := cluster(1), cluster(2)
	update(t, s, putAll(putCluster(first), putCluster(other)))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantCluster(r, first), wantCluster(r, other), wantNoCluster(r, cluster(3).Cluster))
	})

	first.Taken = xlreg.AllSeats
	first.Revision = math.MaxUint64
	update(t, s, putCluster(first))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantCluster(r, first), wantCluster(r, other))
	})
}

// An ID that is the beginning of a longer one is another ID.
func testIDLengths(t *testing.T, s store.Store) {
	long := strings.Repeat("\x14\xff", xlreg.LongIDLen/2)
	short := long[:xlreg.ShortIDLen]
	shortNode, longNode := node(1), node(2)
	shortNode.ID, longNode.ID = xlreg.NodeID(short), xlreg.NodeID(long)
	shortCluster, longCluster := cluster(1), cluster(2)
	shortCluster.ID, longCluster.ID = xlreg.ClusterID(short), xlreg.ClusterID(long)

	update(t, s, putAll(putNode(longNode), putCluster(longCluster), putSeat(longCluster.ID, seat(5, 1))))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantNoNode(r, shortNode.ID), wantNoCluster(r, shortCluster.Cluster), wantSeats(r, shortCluster.ID))
	})
	update(t, s, putAll(putNode(shortNode), putCluster(shortCluster),
		putSeat(shortCluster.ID, seat(63, 3)), putSeat(longCluster.ID, seat(0, 4))))
	view(t, s, func(r store.Reader) error {
		return errors.Join(
			wantNode(r, shortNode), wantNode(r, longNode),
			wantCluster(r, shortCluster), wantCluster(r, longCluster),
			wantSeats(r, shortCluster.ID, seat(63, 3)),
			wantSeats(r, longCluster.ID, seat(0, 4), seat(5, 1)),
		)
	})
}

func testSeats(t *testing.T, s store.Store) {
	here, there := clusterID(1), clusterID(2)
	want := func(seats ...xlreg.Member) {
		t.Helper()
		view(t, s, func(r store.Reader) error {
			return errors.Join(wantSeats(r, here, seats...), wantSeats(r, there, seat(7, 7)))
		})
	}
	update(t, s, putAll(putSeat(there, seat(7, 7)), putSeat(here, seat(63, 1)), putSeat(here, seat(0, 2))))
	want(seat(0, 2), seat(63, 1))
	update(t, s, putSeat(here, seat(10, 3)))
	want(seat(0, 2), seat(10, 3), seat(63, 1))
	update(t, s, putSeat(here, seat(10, 4)))
	want(seat(0, 2), seat(10, 4), seat(63, 1))
	update(t, s, putAll(deleteSeat(here, 0), deleteSeat(here, 1), deleteSeat(clusterID(3), 0)))
	want(seat(10, 4), seat(63, 1))
	update(t, s, putAll(deleteSeat(here, 63), deleteSeat(here, 10), putSeat(here, seat(63, 5))))
	want(seat(63, 5))
	update(t, s, deleteSeat(here, 63))
	want()
}

// What a View returned stays what it was.
func testSeatsAreShared(t *testing.T, s store.Store) {
	id := clusterID(1)
	update(t, s, putAll(putSeat(id, seat(1, 1)), putSeat(id, seat(2, 2)), putNode(node(1))))
	var seats []xlreg.Member
	var token xlreg.Token
	view(t, s, func(r store.Reader) (err error) {
		seats, err = r.Seats(id)
		if err == nil {
			token, err = r.Node(nodeID(1))
		}
		return err
	})
	renamed := node(1)
	renamed.Name = "renamed"
	update(t, s, putAll(putSeat(id, seat(0, 3)), putSeat(id, seat(1, 4)), deleteSeat(id, 2), putNode(renamed)))
	if err := differ("seats", seats, nil, []xlreg.Member{seat(1, 1), seat(2, 2)}); err != nil {
		t.Error(err)
	}
	if err := differ("node", token, nil, node(1)); err != nil {
		t.Error(err)
	}
}

func testIllFormed(t *testing.T, s store.Store) {
	noName, badName, badID := cluster(1), cluster(1), cluster(1)
	noName.Name, badName.Name, badID.ID = "", "a b", badID.ID[1:]
	for name, put := range map[string]func(store.Writer) error{
		"node without ID":      putNode(xlreg.Token{Name: "n"}),
		"node with 21 bytes":   putNode(xlreg.Token{ID: nodeID(2) + "x"}),
		"cluster with bad ID":  putCluster(badID),
		"cluster without name": putCluster(noName),
		"cluster with space":   putCluster(badName),
		"seat -1":              putSeat(clusterID(1), seat(-1, 1)),
		"seat 64":              putSeat(clusterID(1), seat(64, 1)),
		"seat without ID":      putSeat("", seat(0, 1)),
		"delete seat 64":       deleteSeat(clusterID(1), 64),
		"delete without ID":    deleteSeat("", 0),
	} {
		if err := s.Update(t.Context(), put); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	testNotFound(t, s)
}

func testReadsOwnWrites(t *testing.T, s store.Store) {
	id := clusterID(1)
	before := cluster(1)
	update(t, s, putAll(putCluster(before), putSeat(id, seat(3, 3)), putSeat(id, seat(5, 5))))

	after := before
	after.Revision++
	renamed := node(9)
	renamed.Endpoints = append(renamed.Endpoints, "10.0.0.1:1")
	check := func(r store.Reader) error {
		return errors.Join(
			wantNode(r, renamed), wantCluster(r, after), wantCluster(r, cluster(2)), wantNoNode(r, nodeID(8)),
			wantSeats(r, id, seat(0, 1), seat(3, 4)), wantSeats(r, clusterID(2), seat(1, 1)),
		)
	}
	update(t, s, func(w store.Writer) error {
		put := putAll(putNode(node(9)), putNode(renamed), putCluster(after), putCluster(cluster(2)),
			putSeat(id, seat(3, 4)), putSeat(id, seat(0, 1)), putSeat(id, seat(6, 6)), deleteSeat(id, 6),
			deleteSeat(id, 5), putSeat(clusterID(2), seat(1, 1)))
		return errors.Join(put(w), check(w))
	})
	view(t, s, check)
}
