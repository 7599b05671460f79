package records

import (
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
)

func tokenToPB(t *xlreg.Token) *recordspb.Token {
	pb := &recordspb.Token{
		Name: string(t.Name), Attrs: uint64(t.Attrs), Id: []byte(t.ID),
		CommsKey: []byte(t.CommsKey), SigKey: []byte(t.SigKey),
		DigSig2: t.DigSig2, Certificate: t.Certificate, CommsSig: t.CommsSig, Labels: t.Labels,
	}
	for _, e := range t.Endpoints {
		pb.Endpoints = append(pb.Endpoints, string(e))
	}
	return pb
}

// tokenFromPB leaves out the signature of a token that was kept before version 2: it
// covers a certificate of another form.
func tokenFromPB(pb *recordspb.Token) xlreg.Token {
	t := xlreg.Token{
		Name: xlreg.Name(pb.GetName()), Attrs: xlreg.NodeAttrs(pb.GetAttrs()), ID: xlreg.NodeID(pb.GetId()),
		CommsKey: xlreg.CommsKey(pb.GetCommsKey()), SigKey: xlreg.SigKey(pb.GetSigKey()),
		Certificate: nilIfEmpty(pb.GetCertificate()), CommsSig: nilIfEmpty(pb.GetCommsSig()), Labels: nilIfEmpty(pb.GetLabels()),
	}
	if t.Certificate != nil {
		t.DigSig2 = nilIfEmpty(pb.GetDigSig2())
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

const day = 24 * time.Hour

// Day returns the day of t, which is as exactly as records say when somebody came.
func Day(t time.Time) time.Time { return t.UTC().Truncate(day) }

func toDay(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix() / int64(day/time.Second)
}

func fromDay(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n*int64(day/time.Second), 0).UTC()
}

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
