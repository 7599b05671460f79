package records

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
)

// soundRecords are those of two nodes, and of two clusters of which one has them.
func soundRecords(t *testing.T) map[string][]byte {
	t.Helper()
	s := memory.New()
	defer s.Close()
	err := s.Update(t.Context(), func(tx store.Writer) error {
		w := NewWriter(tx)
		full, empty := Cluster{Cluster: sampleCluster().Cluster, State: xlreg.ClusterState{Epoch: 2}}, Cluster{Cluster: sampleCluster().Cluster}
		full.MaxSize, full.Key = 2, ""
		empty.ID, empty.Name = xlreg.ClusterID(strings.Repeat("\x44", xlreg.LongIDLen)), "empty"
		first, second := sampleSeat(0), sampleSeat(1)
		second.Token.ID, second.Token.Name, second.Token.SigKey = xlreg.NodeID(strings.Repeat("\x33", xlreg.LongIDLen)), "m1", "another"
		return errors.Join(
			w.PutNode(&Node{Token: first.Token}), w.PutNode(&Node{Token: second.Token}), w.AddCluster(&full), w.AddCluster(&empty),
			w.PutSeat(&full, &first), w.PutSeat(&full, &second), w.PutCluster(&full),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	err = s.View(t.Context(), func(r store.Reader) error {
		for _, root := range roots {
			for item, err := range r.Scan(root) {
				if err != nil {
					return err
				}
				all[item.Key] = slices.Clone(item.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func checkRecords(all map[string][]byte) (Counts, error) {
	c := NewChecker()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := c.Add(key, all[key]); err != nil {
			return Counts{}, err
		}
	}
	return c.Finish()
}

func TestCheckSound(t *testing.T) {
	if got, err := checkRecords(nil); err != nil || got != (Counts{}) {
		t.Errorf("nothing: %+v, %v", got, err)
	}
	all := soundRecords(t)
	if got, err := checkRecords(all); err != nil || got != (Counts{Nodes: 2, Clusters: 2, Seats: 2}) {
		t.Errorf("%d records: %+v, %v", len(all), got, err)
	}
}

// Each record that is missing is missed, but for that of a node that has no seat.
func TestCheckMissing(t *testing.T) {
	sound := soundRecords(t)
	for key := range sound {
		all := maps.Clone(sound)
		delete(all, key)
		if _, err := checkRecords(all); !errors.Is(err, ErrDamaged) && key[:1] != nodeRoot {
			t.Errorf("without %q: %v", key, err)
		}
	}
}

func TestCheckContradictions(t *testing.T) {
	id := sampleCluster().ID
	token, m, beyond := sampleToken(), sampleSeat(0), sampleSeat(2)
	cluster := Cluster{Cluster: sampleCluster().Cluster, State: xlreg.ClusterState{Epoch: 2}, Taken: xlreg.SeatsOf(0)}
	cluster.MaxSize, cluster.Key = 2, ""
	large := cluster
	large.MaxSize = 1025
	other := m
	other.Token.Name = "other"
	for name, c := range map[string]struct {
		key string
		m   proto.Message
	}{
		"a node under another ID":       {nodeKey(xlreg.NodeID(strings.Repeat("\x55", xlreg.LongIDLen))), &recordspb.Node{Token: tokenToPB(&token)}},
		"a node under no ID":            {nodeKey("x"), &recordspb.Node{Token: tokenToPB(&token)}},
		"a name of no cluster":          {nameKey("more", ""), &recordspb.ClusterName{ClusterId: []byte(id[1:])}},
		"a second name":                 {nameKey("more", ""), &recordspb.ClusterName{ClusterId: []byte(id)}},
		"a name of another cluster":     {nameKey("empty", ""), &recordspb.ClusterName{ClusterId: []byte(id)}},
		"a seat that is not counted":    {clusterKey(id), clusterToPB(&cluster)},
		"a cluster of 1025":             {clusterKey(id), clusterToPB(&large)},
		"a seat under another index":    {seatKey(id, 1), seatToPB(&m)},
		"a seat beyond the last":        {seatKey(id, 2), seatToPB(&beyond)},
		"a seat of somebody else":       {seatKey(id, 0), seatToPB(&other)},
		"a key that leads elsewhere":    {seatsOfKeyKey(id, keys.KeySum(token.SigKey)), &recordspb.SeatRefs{Indexes: []uint32{1}}},
		"a name that leads elsewhere":   {seatByNameKey(id, token.Name), &recordspb.SeatRef{Index: 1}},
		"a name that leads to no seat":  {seatByNameKey(id, "more"), &recordspb.SeatRef{Index: 1}},
		"a key in a cluster that isn't": {seatsOfKeyKey(id[1:], keys.KeySum(token.SigKey)), &recordspb.SeatRefs{}},
		"a record of no kind":           {"x", &recordspb.SeatRef{}},
	} {
		all := soundRecords(t)
		all[c.key] = must[[]byte](t)(current.encode(c.key, c.m))
		if _, err := checkRecords(all); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for key := range soundRecords(t) {
		all := soundRecords(t)
		all[key][headerLen-1]++
		if _, err := checkRecords(all); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q with another byte: %v", key, err)
		}
	}
}

func FuzzChecker(f *testing.F) {
	f.Add("n", []byte(nil))
	f.Add("c\x14", []byte{1})
	f.Add("i\xff", []byte{1})
	f.Fuzz(func(t *testing.T, key string, payload []byte) {
		record := append(make([]byte, headerLen), payload...)
		record[0] = current.written
		sum := checksum(key, record)
		record[1], record[2], record[3], record[4] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
		if err := NewChecker().Add(key, record); err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
}
