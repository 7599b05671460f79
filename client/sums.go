package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// SumALPN is the protocol, over TLS between members, by which they compare what they see
// of their cluster (section 11.3). What Listen returns serves it by itself; see ServeSums.
const SumALPN = "xlreg-sum/1"

const (
	maxSumFrame = 64 << 10
	sumPatience = 10 * time.Second // for one frame
	mostSums    = 64               // revisions whose sums a member remembers
)

// sumOf is the sum of one revision of the cluster.
type sumOf struct {
	state xlreg.ClusterState
	seats xlreg.Seats
	sum   keys.Sum
}

// remember keeps the sum of a roster, of which others may ask. The caller holds mu.
func (m *Membership) remember(r *Roster) {
	if r.Sum == (keys.Sum{}) {
		return
	}
	s := sumOf{state: r.State, sum: r.Sum}
	for i := range r.Members {
		s.seats = s.seats.With(r.Members[i].Index)
	}
	m.sums = slices.DeleteFunc(m.sums, func(old sumOf) bool { return old.state.Revision == s.state.Revision })
	m.sums = append(m.sums, s)
	m.sums = m.sums[max(0, len(m.sums)-mostSums):]
}

// sumAt returns the sum of a revision if it is known, and else that of the last; false if
// there is none.
func (m *Membership) sumAt(revision uint64) (sumOf, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sums) == 0 {
		return sumOf{}, false
	}
	for _, s := range m.sums {
		if s.state.Revision == revision {
			return s, true
		}
	}
	return m.sums[len(m.sums)-1], true
}

// ServeSums answers another member that compares what it sees of the cluster with what
// this node sees, until either end closes the connection or ten seconds pass without a
// question. The connection has to come from a configuration of TLSConfig, which accepts
// members alone, with SumALPN among its NextProtos. Connections that Accept of Listen
// would return are served without this; an http.Server has TLSNextProto for it.
func (m *Membership) ServeSums(conn *tls.Conn) error {
	defer conn.Close()
	for {
		if err := conn.SetDeadline(time.Now().Add(sumPatience)); err != nil {
			return err
		}
		question, err := readFrame(conn, maxSumFrame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := writeFrame(conn, m.answerSum(question)); err != nil {
			return err
		}
	}
}

func writeFrame(w io.Writer, m *wire.Message) error {
	b, err := appendFrame(nil, m)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func (m *Membership) answerSum(question *wire.Message) *wire.Message {
	if question.Op() != wire.OpGetCluster {
		return wire.NewError(xlreg.ErrWrongState)
	}
	asked := question.SumRequest()
	s, ok := m.sumAt(asked.Revision)
	if !ok || asked.Cluster != m.ref.ID {
		return wire.NewError(xlreg.ErrNoSuchClusterID)
	}
	return wire.NewSumReply(wire.SumReply{
		Cluster: asked.Cluster, Epoch: s.state.Epoch, Revision: s.state.Revision, Seats: s.seats, Sum: s.sum,
	})
}

// askSum asks the member at the other end for the sum of a revision.
func (m *Membership) askSum(ctx context.Context, conn net.Conn, revision uint64) (wire.SumReply, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(sumPatience)); err != nil {
		return wire.SumReply{}, err
	}
	if err := writeFrame(conn, wire.NewSumRequest(wire.SumRequest{Cluster: m.ref.ID, Revision: revision})); err != nil {
		return wire.SumReply{}, err
	}
	answer, err := readFrame(conn, maxSumFrame)
	if err != nil {
		return wire.SumReply{}, err
	}
	if err := answer.Err(); err != nil {
		return wire.SumReply{}, err
	}
	reply, err := answer.SumReply()
	if err == nil && reply.Cluster != m.ref.ID {
		err = xlreg.Errorf(xlreg.ErrProtocol, "sum of another cluster")
	}
	return reply, err
}
