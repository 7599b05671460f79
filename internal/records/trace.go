package records

import (
	"encoding/binary"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/keys"
)

// trace is what lies under the key of a seat: a seat, one that a later epoch or an order
// has made void, or the name plate that somebody left behind.
//
// So what ends all seats of a cluster at once writes its head and nothing else, and a
// key whose seat has run out is known again when it comes back.
type trace struct {
	Seat
	lastKey xlreg.KeySum // of a seat that was left
}

// trace returns what lies under the key of a seat; there may be nothing.
func (r Reader) trace(id xlreg.ClusterID, index int) (trace, error) {
	var pb recordspb.Seat
	if err := r.get(seatKey(id, index), &pb); err != nil {
		return trace{}, err
	}
	return traceFromPB(&pb), nil
}

func traceFromPB(pb *recordspb.Seat) trace {
	return trace{seatFromPB(pb), xlreg.KeySum(pb.GetLastKeySum())}
}

// alive reports whether t is a seat of c.
func (t *trace) alive(c *Cluster) bool { return t.lastKey == "" && t.Epoch >= c.Lowest }

// keySum returns whose the seat is, or was.
func (t *trace) keySum() xlreg.KeySum {
	if t.lastKey != "" {
		return t.lastKey
	}
	return keys.KeySum(t.Token.SigKey)
}

// indexIn returns the index in the key of a seat of the cluster; -1 in any other key.
func indexIn(key string, id xlreg.ClusterID) int {
	head := len(clusterKey(id))
	if len(key) != head+2 {
		return -1
	}
	return int(binary.BigEndian.Uint16([]byte(key[head:])))
}
