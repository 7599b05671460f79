package wire

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

type pbToken = xlregpb.XLRegMsg_Token

// maxReplyToken is the size of a token as a registry hands it on. A registry
// adds ID, JoinedMillis and a missing Attrs to a token that may have been as
// large as a client's can be.
const maxReplyToken = xlreg.MaxTokenLen + 64

// tokenFromPB converts a token as it came and holds it against every limit but
// those on key sizes, which depend on the carrier. Without its certificate it
// may have maxSize bytes.
func tokenFromPB(pb *pbToken, maxSize int) (*xlreg.Token, error) {
	if err := checkTokenSize(pb, maxSize); err != nil {
		return nil, err
	}
	t := &xlreg.Token{
		Name:        xlreg.Name(pb.GetName()),
		Attrs:       xlreg.NodeAttrs(pb.GetAttrs()),
		CommsKey:    xlreg.CommsKey(pb.GetCommsKey()),
		SigKey:      xlreg.SigKey(pb.GetSigKey()),
		DigSig:      pb.GetDigSig(),
		DigSig2:     pb.GetDigSig2(),
		Certificate: pb.GetCertificate(),
	}
	if len(pb.GetID()) > 0 {
		id, err := xlreg.NodeIDFromBytes(pb.GetID())
		if err != nil {
			return nil, xlreg.Errorf(xlreg.ErrIllFormedToken, "%v", err)
		}
		t.ID = id
	}
	if millis := pb.GetJoinedMillis(); millis > 0 && millis < 1<<62 {
		t.Joined = time.UnixMilli(int64(millis)).UTC()
	}
	if len(pb.GetMyEnds()) > xlreg.MaxEndpoints {
		return nil, xlreg.Errorf(xlreg.ErrIllFormedToken, "%d endpoints, at most %d allowed", len(pb.GetMyEnds()), xlreg.MaxEndpoints)
	}
	for _, end := range pb.GetMyEnds() {
		t.Endpoints = append(t.Endpoints, xlreg.Endpoint(end))
	}
	return t, nil
}

func checkTokenSize(pb *pbToken, maxSize int) error {
	if len(pb.GetCertificate()) > xlreg.MaxCertificateLen {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "certificate of %d bytes, at most %d allowed", len(pb.GetCertificate()), xlreg.MaxCertificateLen)
	}
	certificate := proto.Size(&pbToken{Certificate: pb.Certificate})
	if n := proto.Size(pb) - certificate; n > maxSize {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "%d bytes, at most %d allowed", n, maxSize)
	}
	return nil
}

// tokenToPB converts a token as a client sends it: with the signature of its
// carrier, which the caller sets, and without what only a registry says.
func tokenToPB(t *xlreg.Token) *pbToken {
	pb := &pbToken{
		Name:     proto.String(string(t.Name)),
		Attrs:    proto.Uint64(uint64(t.Attrs)),
		CommsKey: []byte(t.CommsKey),
		SigKey:   []byte(t.SigKey),
	}
	if t.ID != "" {
		pb.ID = t.ID.Bytes()
	}
	for _, e := range t.Endpoints {
		pb.MyEnds = append(pb.MyEnds, string(e))
	}
	return pb
}

// rosterToken converts a member's token as a registry hands it to readers over
// p. The classic signature is never part of it: it would let a reader log in.
func rosterToken(t *xlreg.Token, p xlreg.Protocol) *pbToken {
	pb := tokenToPB(t)
	if p.Classic() {
		return pb
	}
	pb.DigSig2 = t.DigSig2
	pb.Certificate = t.Certificate
	pb.JoinedMillis = proto.Uint64(uint64(max(0, t.Joined.UnixMilli())))
	return pb
}
