package wire

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// What follows travels inside fields of bytes. It is read by those who need to know
// what is in it, and kept and handed on as it came.

// MaxAdmissionLen is how many bytes an encoded admission may have. What is in it has
// fewer than 200, but a receiver ignores fields that it does not know.
const MaxAdmissionLen = 512

// MaxOrderLen is the same of an order. The last one is kept in the cluster's record, which
// every change of the cluster reads and writes.
const MaxOrderLen = 512

const signatureLen = 64 // of Ed25519

// EncodeAdmission returns a as it travels.
func EncodeAdmission(a xlreg.Admission) []byte {
	pb := &xlregpb.Admission{Sig: a.Sig}
	if !a.Invite.IsZero() {
		pb.InviteKey, pb.InviteSig = []byte(a.Invite.Key), a.Invite.Sig
		if !a.Invite.NotAfter.IsZero() {
			pb.NotAfterMillis = proto.Uint64(keys.MillisOfTime(a.Invite.NotAfter))
		}
		if a.Invite.Uses > 0 {
			pb.Uses = proto.Uint32(a.Invite.Uses)
		}
	}
	return encodeNested(pb)
}

// DecodeAdmission reads an admission. One that is ill-formed, and so cannot be signed
// by anybody, is an error of kind xlreg.ErrNotAdmitted; signatures are not verified.
func DecodeAdmission(b []byte) (xlreg.Admission, error) {
	refuse := func(why string) (xlreg.Admission, error) {
		return xlreg.Admission{}, xlreg.Errorf(xlreg.ErrNotAdmitted, "bad signature: %s", why)
	}
	if len(b) > MaxAdmissionLen {
		return refuse("too long for an admission")
	}
	pb := new(xlregpb.Admission)
	if err := decodeNested(b, pb); err != nil {
		return refuse("not an admission")
	}
	a := xlreg.Admission{Sig: pb.GetSig()}
	if len(a.Sig) != signatureLen {
		return refuse("Sig has not the length of one")
	}
	if len(pb.GetInviteKey()) == 0 {
		return a, nil // what it says of an invite is about none
	}
	a.Invite = xlreg.Invite{
		Key:      xlreg.ClusterKey(pb.GetInviteKey()),
		NotAfter: endFromMillis(pb.GetNotAfterMillis()),
		Uses:     pb.GetUses(),
		Sig:      pb.GetInviteSig(),
	}
	switch i := &a.Invite; {
	case len(i.Key) != xlreg.ClusterKeyLen || len(i.Sig) != signatureLen:
		return refuse("InviteKey or InviteSig has not the length of one")
	case i.Uses > xlreg.MaxInviteUses:
		return refuse("an invite that is good for more uses than any")
	}
	return a, nil
}

// endFromMillis is timeFromMillis for the end of an invite. The owner has signed the
// number, so it is kept exactly, however far away that end is.
func endFromMillis(millis uint64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return keys.TimeOfMillis(millis).UTC()
}

// timeFromMillis returns the time that so many milliseconds since 1970 stand for, and
// the zero time if they are 0.
func timeFromMillis(millis uint64) time.Time {
	if millis == 0 || millis > math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(int64(millis)).UTC()
}

// EncodeOrder returns o as it travels, for its owner to sign.
func EncodeOrder(o xlreg.Order) []byte {
	return encodeNested(&xlregpb.OwnerOrder{
		ClusterID: optional(o.Cluster),
		Serial:    proto.Uint64(o.Serial),
		Kind:      proto.Uint32(uint32(o.Kind)),
		SigKeySum: optional(o.KeySum),
		InviteKey: optional(o.Invite),
	})
}

// DecodeOrder reads an order. One that does not parse, or is too long, is an error of kind
// xlreg.ErrBadSignature. A cluster ID of no legal length is left for the rules not to
// find, and a kind that does not exist for them to refuse.
func DecodeOrder(b []byte) (xlreg.Order, error) {
	if len(b) > MaxOrderLen {
		return xlreg.Order{}, xlreg.Errorf(xlreg.ErrBadSignature, "too long for an order")
	}
	pb := new(xlregpb.OwnerOrder)
	if err := decodeNested(b, pb); err != nil {
		return xlreg.Order{}, xlreg.Errorf(xlreg.ErrBadSignature, "not an order")
	}
	o := xlreg.Order{
		Cluster: xlreg.ClusterID(pb.GetClusterID()),
		Serial:  pb.GetSerial(),
		Kind:    xlreg.OrderKind(pb.GetKind()),
		KeySum:  xlreg.KeySum(pb.GetSigKeySum()),
		Invite:  xlreg.ClusterKey(pb.GetInviteKey()),
	}
	return o, checkSubject(&o)
}

// checkSubject holds what an order is about against what its kind needs.
func checkSubject(o *xlreg.Order) error {
	switch o.Kind {
	case xlreg.OrderEvict, xlreg.OrderBan:
		if len(o.KeySum) != xlreg.KeySumLen {
			return xlreg.Errorf(xlreg.ErrBadSignature, "%v of a SigKeySum of %d bytes", o.Kind, len(o.KeySum))
		}
	case xlreg.OrderRevoke:
		if len(o.Invite) != xlreg.ClusterKeyLen {
			return xlreg.Errorf(xlreg.ErrBadSignature, "%v of an InviteKey of %d bytes", o.Kind, len(o.Invite))
		}
	case xlreg.OrderReopen, xlreg.OrderDelete:
	}
	return nil
}

// EncodeLabels returns labels as they travel, in the order that they have there; nil if
// there are none. It is an error of kind xlreg.ErrIllFormedToken if a token may not have
// these.
func EncodeLabels(labels []xlreg.Label) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(labels), func(a, b xlreg.Label) int {
		return strings.Compare(string(a.Key), string(b.Key))
	})
	if err := checkLabels(sorted); err != nil {
		return nil, err
	}
	if len(sorted) == 0 {
		return nil, nil
	}
	pb := new(xlregpb.Labels)
	for _, l := range sorted {
		pb.Label = append(pb.Label, &xlregpb.Label{Key: proto.String(string(l.Key)), Value: append([]byte{}, l.Value...)})
	}
	return encodeNested(pb), nil
}

// DecodeLabels reads labels, which are sorted by their keys. Ill-formed ones are an
// error of kind xlreg.ErrIllFormedToken.
func DecodeLabels(b []byte) ([]xlreg.Label, error) {
	if err := scanLabels(b); err != nil {
		return nil, err
	}
	pb := new(xlregpb.Labels)
	if err := decodeNested(b, pb); err != nil {
		return nil, xlreg.Errorf(xlreg.ErrIllFormedToken, "not labels")
	}
	var labels []xlreg.Label
	for _, l := range pb.GetLabel() {
		labels = append(labels, xlreg.Label{Key: xlreg.Name(l.GetKey()), Value: bytes.Clone(l.GetValue())})
	}
	if err := checkLabels(labels); err != nil {
		return nil, err
	}
	return labels, nil
}

// scanLabels looks at what decoding labels would be costly to find out: how many there
// are, and that one has groups in it.
func scanLabels(b []byte) error {
	labels := 0
	err := eachField(b, func(number protowire.Number, kind protowire.Type, field []byte) error {
		if number != labelField || kind != protowire.BytesType {
			return nil
		}
		labels++
		return checkFields(content(field))
	})
	if err != nil {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "not labels")
	}
	return checkLabelCount(labels)
}

// labelField is the field of Labels that holds one.
const labelField = protowire.Number(1)

func checkLabelCount(n int) error {
	if n > xlreg.MaxLabels {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "%d labels, at most %d allowed", n, xlreg.MaxLabels)
	}
	return nil
}

func checkLabels(labels []xlreg.Label) error {
	if err := checkLabelCount(len(labels)); err != nil {
		return err
	}
	size := 0
	for i, l := range labels {
		if err := l.Key.Validate(); err != nil {
			return xlreg.Errorf(xlreg.ErrIllFormedToken, "label: %v", err)
		}
		if i > 0 && labels[i-1].Key >= l.Key {
			return xlreg.Errorf(xlreg.ErrIllFormedToken, "label %q stands twice or is not in its place", l.Key)
		}
		size += len(l.Key) + len(l.Value)
	}
	if size > xlreg.MaxLabelLen {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "labels of %d bytes, at most %d allowed", size, xlreg.MaxLabelLen)
	}
	return nil
}

// encodeNested returns pb encoded. Of what is encoded here nothing is required and
// nothing is text that might not be UTF-8, which is all that encoding can fail at.
func encodeNested(pb proto.Message) []byte {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(pb)
	return b
}

func decodeNested(b []byte, pb proto.Message) error {
	if err := checkFields(b); err != nil {
		return err
	}
	return decode.Unmarshal(b, pb)
}
