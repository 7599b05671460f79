package records

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
)

// Cluster is the record of a cluster. It is small, and written again with each
// change of a seat; the seats are records of their own.
type Cluster struct {
	xlreg.Cluster
	Taken    xlreg.Seats // the indexes that have a seat
	Revision uint64      // grows by one with each change of a seat
}

func tokenToPB(t *xlreg.Token) *recordspb.Token {
	pb := &recordspb.Token{
		Name: string(t.Name), Attrs: uint64(t.Attrs), Id: []byte(t.ID),
		CommsKey: []byte(t.CommsKey), SigKey: []byte(t.SigKey),
		DigSig2: t.DigSig2, Certificate: t.Certificate,
	}
	for _, e := range t.Endpoints {
		pb.Endpoints = append(pb.Endpoints, string(e))
	}
	return pb
}

func tokenFromPB(pb *recordspb.Token) xlreg.Token {
	t := xlreg.Token{
		Name: xlreg.Name(pb.GetName()), Attrs: xlreg.NodeAttrs(pb.GetAttrs()), ID: xlreg.NodeID(pb.GetId()),
		CommsKey: xlreg.CommsKey(pb.GetCommsKey()), SigKey: xlreg.SigKey(pb.GetSigKey()),
		DigSig2: nilIfEmpty(pb.GetDigSig2()), Certificate: nilIfEmpty(pb.GetCertificate()),
	}
	if n := len(pb.GetEndpoints()); n > 0 {
		t.Endpoints = slices.Grow(t.Endpoints, n)
	}
	for _, e := range pb.GetEndpoints() {
		t.Endpoints = append(t.Endpoints, xlreg.Endpoint(e))
	}
	return t
}

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func seatToPB(m *xlreg.Member) *recordspb.Seat {
	pb := &recordspb.Seat{Index: uint32(m.Index), Token: tokenToPB(&m.Token)}
	if !m.Token.Joined.IsZero() {
		pb.JoinedMillis = m.Token.Joined.UnixMilli()
	}
	return pb
}

func seatFromPB(pb *recordspb.Seat) xlreg.Member {
	m := xlreg.Member{Index: int(pb.GetIndex()), Token: tokenFromPB(pb.GetToken())}
	if millis := pb.GetJoinedMillis(); millis != 0 {
		m.Token.Joined = time.UnixMilli(millis).UTC()
	}
	return m
}

func clusterToPB(c *Cluster) *recordspb.Cluster {
	return &recordspb.Cluster{
		Id: []byte(c.ID), Name: string(c.Name), Attrs: uint64(c.Attrs),
		MaxSize: uint32(c.MaxSize), EndpointCount: uint32(c.EndpointCount),
		Taken: uint64(c.Taken), Revision: c.Revision,
	}
}

func clusterFromPB(pb *recordspb.Cluster) (Cluster, error) {
	if pb.GetMaxSize() > math.MaxInt32 || pb.GetEndpointCount() > math.MaxInt32 {
		return Cluster{}, fmt.Errorf("%w: size %d, %d endpoints", ErrDamaged, pb.GetMaxSize(), pb.GetEndpointCount())
	}
	return Cluster{
		Cluster: xlreg.Cluster{
			ID: xlreg.ClusterID(pb.GetId()), Name: xlreg.Name(pb.GetName()), Attrs: xlreg.ClusterAttrs(pb.GetAttrs()),
			MaxSize: int(pb.GetMaxSize()), EndpointCount: int(pb.GetEndpointCount()),
		},
		Taken: xlreg.Seats(pb.GetTaken()), Revision: pb.GetRevision(),
	}, nil
}
