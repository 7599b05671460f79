package records

import (
	"encoding/hex"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
)

// What version 1 has written is what it was, but for proofs of a form that proves nothing
// any more; and after Upgrade everybody is found in today's ways.
func TestUpgrade(t *testing.T) {
	s := memory.New()
	defer s.Close()
	token, id := sampleToken(), sampleCluster().ID
	ref := must[[]byte](t)(form{1, 1}.encode(seatByIDRoot+clusterKey(id)[1:]+string(token.ID), &recordspb.SeatRef{Index: 63}))
	old := func(golden string) []byte { return must[[]byte](t)(hex.DecodeString(golden)) }
	err := s.Update(t.Context(), func(tx store.Writer) error {
		for key, record := range map[string][]byte{
			nodeKey(token.ID): old(oldNode), clusterKey(id): old(oldCluster), seatKey(id, 63): old(oldSeat),
			seatByIDRoot + clusterKey(id)[1:] + string(token.ID): ref,
		} {
			if err := tx.Put(key, record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := Upgrade(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	err = s.View(t.Context(), func(tx store.Reader) error {
		r := NewReader(tx)
		c := must[Cluster](t)(r.Cluster(id))
		if c.Taken != xlreg.SeatsBelow(64) || c.State != (xlreg.ClusterState{Epoch: 1, Revision: 300}) || c.MaxSize != 64 || c.Key != "" {
			t.Errorf("cluster %+v", c)
		}
		sum := keys.KeySum(token.SigKey)
		seats, _, err := r.SeatsOfKey(&c, sum)
		if err != nil || len(seats) != 1 || seats[0].Index != 63 || seats[0].Epoch != 1 || seats[0].Token.DigSig2 != nil {
			t.Errorf("seats of the key: %+v, %v", seats, err)
		}
		if node, err := r.NodeOfKey(sum); err != nil || node != token.ID {
			t.Errorf("the key is node %v, %v", node, err)
		}
		for item, err := range tx.Scan(seatByIDRoot) {
			t.Errorf("still there: %q, %v", item.Key, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An older program must not overlook what is new.
func TestOldProgramsReadNoNewRecords(t *testing.T) {
	golden := must[[]byte](t)(hex.DecodeString(goldenSeat))
	if err := (form{1, 1}).decode(seatKey(sampleCluster().ID, 63), golden, new(recordspb.Seat)); err == nil {
		t.Error("a record of version 2 was read as one of version 1")
	}
}
