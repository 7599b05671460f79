package wire

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

type pbToken = xlregpb.XLRegMsg_Token

// How large a token may be, in bytes, without its Certificate.
const (
	maxClassicToken = 8 << 10

	// A registry adds ID, JoinedMillis, LeaseMillis, SeenMillis, Run and a missing Attrs
	// to a token that may have been as large as a client's can be, and an Admission.
	seatRoom = 256 + MaxAdmissionLen
)

// maxToken returns the limit for a token that comes from a client over p.
func maxToken(p xlreg.Protocol) int {
	if p.Classic() {
		return maxClassicToken
	}
	return xlreg.MaxTokenLen
}

// maxReplyToken returns the limit for a token as a registry hands it on over p.
func maxReplyToken(p xlreg.Protocol) int { return maxToken(p) + seatRoom }

// tokenFromPB converts a token that came over p and holds it against every limit but
// those on keys. Without its certificate it may have maxSize bytes. What a registry
// alone says of a seat is for seatFromPB.
func tokenFromPB(pb *pbToken, maxSize int, p xlreg.Protocol) (*xlreg.Token, error) {
	if err := checkTokenSize(pb, maxSize); err != nil {
		return nil, err
	}
	t := &xlreg.Token{
		Name:     xlreg.Name(pb.GetName()),
		Attrs:    xlreg.NodeAttrs(pb.GetAttrs()),
		CommsKey: xlreg.CommsKey(pb.GetCommsKey()),
		SigKey:   xlreg.SigKey(pb.GetSigKey()),
		DigSig:   pb.GetDigSig(),
	}
	if len(pb.GetID()) > 0 {
		id, err := xlreg.NodeIDFromBytes(pb.GetID())
		if err != nil {
			return nil, xlreg.Errorf(xlreg.ErrIllFormedToken, "%v", err)
		}
		t.ID = id
	}
	for _, end := range pb.GetMyEnds() {
		t.Endpoints = append(t.Endpoints, xlreg.Endpoint(end))
	}
	if p.Classic() {
		return t, nil
	}
	t.DigSig2, t.Certificate, t.CommsSig = pb.GetDigSig2(), pb.GetCertificate(), pb.GetCommsSig()
	t.Labels = pb.GetLabels()
	_, err := DecodeLabels(t.Labels)
	return t, err
}

func checkTokenSize(pb *pbToken, maxSize int) error {
	if len(pb.GetCertificate()) > xlreg.MaxCertificateLen {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "certificate of %d bytes, at most %d allowed", len(pb.GetCertificate()), xlreg.MaxCertificateLen)
	}
	certificate := proto.Size(&pbToken{Certificate: pb.Certificate})
	if n := proto.Size(pb) - certificate; n > maxSize {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "%d bytes, at most %d allowed", n, maxSize)
	}
	if n := len(pb.GetMyEnds()); n > xlreg.MaxEndpoints {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "%d endpoints, at most %d allowed", n, xlreg.MaxEndpoints)
	}
	return nil
}

// seatFromPB reads what a registry says of a member's seat over 2.0.
func seatFromPB(pb *pbToken) (xlreg.SeatState, error) {
	s := xlreg.SeatState{
		Joined:    dateFromMillis(pb.GetJoinedMillis()),
		Admission: pb.GetAdmission(),
		Lease:     duration(pb.GetLeaseMillis()),
		Seen:      dateFromMillis(pb.GetSeenMillis()),
		Run:       xlreg.Run(pb.GetRun()),
	}
	if n := len(s.Admission); n > MaxAdmissionLen {
		return s, xlreg.Errorf(xlreg.ErrIllFormedToken, "admission of %d bytes, at most %d allowed", n, MaxAdmissionLen)
	}
	if n := len(s.Run); n > xlreg.MaxRunLen {
		return s, xlreg.Errorf(xlreg.ErrIllFormedToken, "Run of %d bytes, at most %d allowed", n, xlreg.MaxRunLen)
	}
	return s, nil
}

// maxMillis is the last millisecond of the year 9999, after which a time has no text.
const maxMillis = 253_402_300_799_999

// dateFromMillis is timeFromMillis for times that are shown to people.
func dateFromMillis(millis uint64) time.Time {
	if millis > maxMillis {
		return time.Time{}
	}
	return timeFromMillis(millis)
}

// tokenToPB converts what both generations have of a token, without its proofs.
func tokenToPB(t *xlreg.Token) *pbToken {
	pb := &pbToken{
		Name:     proto.String(string(t.Name)),
		Attrs:    proto.Uint64(uint64(t.Attrs)),
		CommsKey: []byte(t.CommsKey),
		SigKey:   []byte(t.SigKey),
		ID:       optional(t.ID),
	}
	for _, e := range t.Endpoints {
		pb.MyEnds = append(pb.MyEnds, string(e))
	}
	return pb
}

// addProofs adds what a node proves over 2.0, and its labels.
func addProofs(pb *pbToken, t *xlreg.Token) {
	pb.DigSig2, pb.Certificate, pb.CommsSig, pb.Labels = t.DigSig2, t.Certificate, t.CommsSig, t.Labels
}

// rosterToken converts a member's token as a registry hands it to readers over
// p. The classic signature is never part of it: it would let a reader log in.
func rosterToken(t *xlreg.Token, p xlreg.Protocol) *pbToken {
	pb := tokenToPB(t)
	if p.Classic() {
		return pb
	}
	addProofs(pb, t)
	pb.JoinedMillis = proto.Uint64(millisFromTime(t.Seat.Joined))
	pb.Admission, pb.Run = t.Seat.Admission, optional(t.Seat.Run)
	if t.Seat.Lease > 0 {
		pb.LeaseMillis = proto.Uint32(millis(t.Seat.Lease))
	}
	if !t.Seat.Seen.IsZero() {
		pb.SeenMillis = proto.Uint64(millisFromTime(t.Seat.Seen.Truncate(time.Second)))
	}
	return pb
}

// millisFromTime returns t in milliseconds since 1970, and 0 if it is before.
func millisFromTime(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }
