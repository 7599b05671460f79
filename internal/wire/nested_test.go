package wire_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

var (
	aKey = strings.Repeat("k", xlreg.ClusterKeyLen)
	aSig = bytes.Repeat([]byte{7}, 64)
)

// aGroup is what none of the messages has, as a field that nobody knows.
func aGroup() []byte {
	return protowire.AppendTag(protowire.AppendTag(nil, 1000, protowire.StartGroupType), 1000, protowire.EndGroupType)
}

// unknown appends a field of the future.
func unknown(b []byte, size int) []byte {
	return protowire.AppendBytes(protowire.AppendTag(slices.Clone(b), 99, protowire.BytesType), make([]byte, size))
}

func TestAdmissionTravels(t *testing.T) {
	for _, want := range []xlreg.Admission{
		{Sig: aSig},
		{Sig: aSig, Invite: xlreg.Invite{Key: xlreg.ClusterKey(aKey), Sig: aSig}},
		{Sig: aSig, Invite: xlreg.Invite{
			Key: xlreg.ClusterKey(aKey), Sig: aSig, Uses: xlreg.MaxInviteUses, NotAfter: time.UnixMilli(1_700_000_000_123).UTC(),
		}},
		{Sig: aSig, Invite: xlreg.Invite{Key: xlreg.ClusterKey(aKey), Sig: aSig, NotAfter: time.UnixMilli(1<<63 - 1).UTC()}},
		{Sig: aSig, Invite: xlreg.Invite{Key: xlreg.ClusterKey(aKey), Sig: aSig, NotAfter: keys.TimeOfMillis(1<<64 - 1).UTC()}},
	} {
		b := wire.EncodeAdmission(want)
		if len(b) > 200 {
			t.Errorf("%d bytes", len(b))
		}
		equal(t, must[xlreg.Admission](t)(wire.DecodeAdmission(b)), want)
		equal(t, must[xlreg.Admission](t)(wire.DecodeAdmission(unknown(b, 3))), want)
	}
}

func TestAdmissionRefuses(t *testing.T) {
	good := func() *xlregpb.Admission {
		return &xlregpb.Admission{InviteKey: []byte(aKey), InviteSig: aSig, Sig: aSig}
	}
	whole := must[[]byte](t)(proto.Marshal(good()))
	refused := map[string][]byte{
		"nothing":  {},
		"no bytes": []byte("no"),
		"a group":  slices.Concat(whole, aGroup()),
		"too long": unknown(whole, wire.MaxAdmissionLen),
	}
	for name, change := range map[string]func(*xlregpb.Admission){
		"no Sig":          func(a *xlregpb.Admission) { a.Sig = nil },
		"Sig of 63 bytes": func(a *xlregpb.Admission) { a.Sig = aSig[1:] },
		"no InviteSig":    func(a *xlregpb.Admission) { a.InviteSig = nil },
		"InviteKey of 31": func(a *xlregpb.Admission) { a.InviteKey = a.InviteKey[1:] },
		"1001 uses":       func(a *xlregpb.Admission) { a.Uses = proto.Uint32(1001) },
	} {
		pb := good()
		change(pb)
		refused[name] = must[[]byte](t)(proto.Marshal(pb))
	}
	for name, b := range refused {
		t.Run(name, func(t *testing.T) {
			_, err := wire.DecodeAdmission(b)
			wantKind(t, err, xlreg.ErrNotAdmitted)
		})
	}
}

func TestOrderTravels(t *testing.T) {
	sum, key := xlreg.KeySum(aKey), xlreg.ClusterKey(aKey)
	for _, want := range []xlreg.Order{
		{Kind: xlreg.OrderEvict, KeySum: sum},
		{Kind: xlreg.OrderBan, KeySum: sum},
		{Kind: xlreg.OrderRevoke, Invite: key},
		{Kind: xlreg.OrderReopen},
		{Kind: xlreg.OrderDelete},
		{Kind: 1<<32 - 1, Serial: 1<<64 - 1}, // for the rules to refuse
	} {
		want.Cluster = newCluster().ID
		b := wire.EncodeOrder(want)
		equal(t, must[xlreg.Order](t)(wire.DecodeOrder(b)), want)
		signed := xlreg.SignedOrder{Bytes: unknown(b, 3), Sig: aSig}
		got := travel(t, wire.NewOrder(signed)).Order()
		equal(t, got, signed)
		equal(t, must[xlreg.Order](t)(wire.DecodeOrder(got.Bytes)), want)
	}
}

func TestOrderRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"no bytes":               []byte("no"),
		"a group":                slices.Concat(wire.EncodeOrder(xlreg.Order{Kind: xlreg.OrderReopen}), aGroup()),
		"too long":               unknown(wire.EncodeOrder(xlreg.Order{Kind: xlreg.OrderReopen}), wire.MaxOrderLen),
		"evict nobody":           wire.EncodeOrder(xlreg.Order{Kind: xlreg.OrderEvict}),
		"ban half a sum":         wire.EncodeOrder(xlreg.Order{Kind: xlreg.OrderBan, KeySum: xlreg.KeySum(aKey[:16])}),
		"revoke a longer invite": wire.EncodeOrder(xlreg.Order{Kind: xlreg.OrderRevoke, Invite: xlreg.ClusterKey(aKey + "k")}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.DecodeOrder(b)
			wantKind(t, err, xlreg.ErrBadSignature)
		})
	}
}

func labelsOf(n, value int) (labels []xlreg.Label) {
	for i := range n {
		labels = append(labels, xlreg.Label{Key: xlreg.Name(fmt.Sprintf("k%02d", i)), Value: make([]byte, value)})
	}
	return labels
}

func TestLabelsTravel(t *testing.T) {
	for _, want := range [][]xlreg.Label{
		{{Key: "a", Value: []byte{0xff, 0}}},
		{{Key: "A", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "a.b", Value: []byte("3")}},
		labelsOf(xlreg.MaxLabels, 61), // with keys of 3 bytes, as much as there may be
	} {
		shuffled := slices.Clone(want)
		slices.Reverse(shuffled)
		b := must[[]byte](t)(wire.EncodeLabels(shuffled))
		equal(t, must[[]xlreg.Label](t)(wire.DecodeLabels(b)), want)
		equal(t, must[[]xlreg.Label](t)(wire.DecodeLabels(unknown(b, 3))), want)
		equal(t, shuffled[0], want[len(want)-1])
	}
	if b, err := wire.EncodeLabels(nil); b != nil || err != nil {
		t.Errorf("no labels are %x, %v", b, err)
	}
}

func TestLabelsRefuse(t *testing.T) {
	pb := func(keys ...string) []byte {
		labels := new(xlregpb.Labels)
		for _, key := range keys {
			labels.Label = append(labels.Label, &xlregpb.Label{Key: proto.String(key)})
		}
		return must[[]byte](t)(proto.Marshal(labels))
	}
	label := func(b []byte) []byte { return protowire.AppendBytes([]byte{0x0a}, b) }
	for name, b := range map[string][]byte{
		"no bytes":         []byte("no"),
		"not in order":     pb("b", "a"),
		"twice":            pb("a", "a"),
		"no name":          pb("a b"),
		"empty key":        pb(""),
		"33 of them":       bytes.Repeat(label(nil), 33),
		"a group":          slices.Concat(pb("a"), aGroup()),
		"a group in one":   label(slices.Concat([]byte{0x0a, 1, 'a'}, aGroup())),
		"a broken one":     label([]byte{0x0a, 9}),
		"a label as group": {0x0b, 0x0c},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.DecodeLabels(b)
			wantKind(t, err, xlreg.ErrIllFormedToken)
		})
	}
	for name, labels := range map[string][]xlreg.Label{
		"33 of them": labelsOf(33, 0),
		"2049 bytes": append(labelsOf(xlreg.MaxLabels-1, 61), xlreg.Label{Key: "k99", Value: make([]byte, 62)}),
		"twice":      {{Key: "a"}, {Key: "a"}},
		"no name":    {{Key: "a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.EncodeLabels(labels)
			wantKind(t, err, xlreg.ErrIllFormedToken)
		})
	}
}

// FuzzNested reads bytes as each of what travels inside fields of bytes. What is
// accepted is within its limits, and the same when it has been written again.
func FuzzNested(f *testing.F) {
	f.Add(wire.EncodeAdmission(xlreg.Admission{
		Sig: aSig, Invite: xlreg.Invite{Key: xlreg.ClusterKey(aKey), Sig: aSig, Uses: 3, NotAfter: time.UnixMilli(5)},
	}))
	f.Add(wire.EncodeOrder(xlreg.Order{Cluster: newCluster().ID, Serial: 1, Kind: xlreg.OrderBan, KeySum: xlreg.KeySum(aKey)}))
	f.Add(must[[]byte](f)(wire.EncodeLabels(labelsOf(3, 4))))
	f.Add(aGroup())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := wire.DecodeAdmission(b)
		if allowKind(t, err, xlreg.ErrNotAdmitted); err == nil {
			equal(t, must[xlreg.Admission](t)(wire.DecodeAdmission(wire.EncodeAdmission(a))), a)
		}
		o, err := wire.DecodeOrder(b)
		if allowKind(t, err, xlreg.ErrBadSignature); err == nil {
			equal(t, must[xlreg.Order](t)(wire.DecodeOrder(wire.EncodeOrder(o))), o)
		}
		labels, err := wire.DecodeLabels(b)
		if allowKind(t, err, xlreg.ErrIllFormedToken); err == nil {
			again := must[[]byte](t)(wire.EncodeLabels(labels))
			equal(t, must[[]xlreg.Label](t)(wire.DecodeLabels(again)), labels)
		}
	})
}

// FuzzSets reads bytes as the sets of a ClusterMembers of 2.0, and as those that a
// GetCluster asks for.
func FuzzSets(f *testing.F) {
	f.Add([]byte{3}, []byte{1}, uint32(2), 1)
	f.Add([]byte{0, 1}, []byte{}, uint32(64), 0)
	f.Add(make([]byte, 129), []byte{0xff, 0xff}, uint32(1024), 16)
	f.Fuzz(func(t *testing.T, seats, which []byte, size uint32, tokens int) {
		pb := &xlregpb.XLRegMsg{
			Op: op(wire.OpClusterMembers), ClusterID: make([]byte, 20), ClusterMaxSize: &size,
			SeatSet: seats, WhichSet: which, Sum: make([]byte, 32),
		}
		for i := range min(max(tokens, 0), xlreg.MaxClusterSize) {
			pb.Tokens = append(pb.Tokens, &xlregpb.XLRegMsg_Token{Name: proto.String(fmt.Sprintf("m%d", i)), ID: make([]byte, 20)})
		}
		reply, err := raw(t, pb).Roster(xlreg.Protocol20)
		if allowKind(t, err, xlreg.ErrProtocol); err == nil {
			checkRoster(t, reply, xlreg.Protocol20)
		}
		pb.Op = op(wire.OpGetCluster)
		get, err := raw(t, pb).Get(xlreg.Protocol20)
		if allowKind(t, err, xlreg.ErrProtocol); err == nil {
			equal(t, must[wire.GetRequest](t)(travel(t, wire.NewGet(get, xlreg.Protocol20)).Get(xlreg.Protocol20)), get)
		}
	})
}
