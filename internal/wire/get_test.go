package wire_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

func TestGetTravels(t *testing.T) {
	five, zero, ever := uint32(5), uint32(0), uint32(math.MaxUint32)
	all := uint32(xlreg.MaxClusterSize)
	revision, epoch := uint64(7), uint64(2)
	six := xlreg.SeatsOf(1, 2)
	for name, c := range map[string]struct{ sent, want wire.GetRequest }{
		"at once":     {wire.GetRequest{Which: six}, wire.GetRequest{Which: six}},
		"none":        {wire.GetRequest{}, wire.GetRequest{}},
		"all":         {wire.GetRequest{Which: xlreg.AllSeats()}, wire.GetRequest{Which: xlreg.AllSeats()}},
		"wait size":   {wire.GetRequest{Wait: true, WaitSize: &five}, wire.GetRequest{Wait: true, WaitSize: &five}},
		"wait millis": {wire.GetRequest{Wait: true, WaitMillis: &five}, wire.GetRequest{Wait: true, WaitSize: &all, WaitMillis: &five}},
		"wait":        {wire.GetRequest{Wait: true}, wire.GetRequest{Wait: true, WaitSize: &all}},
		"no time":     {wire.GetRequest{Wait: true, WaitSize: &five, WaitMillis: &zero}, wire.GetRequest{WaitSize: &five, WaitMillis: &zero}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range protocols {
				equal(t, must[wire.GetRequest](t)(travel(t, wire.NewGet(c.sent, p)).Get(p)), c.want)
			}
		})
	}
	for name, c := range map[string]struct{ sent, want wire.GetRequest }{
		"large indexes": {wire.GetRequest{Which: xlreg.SeatsOf(0, 1023)}, wire.GetRequest{Which: xlreg.SeatsOf(0, 1023)}},
		"since":         {wire.GetRequest{Since: &revision, Sign: true}, wire.GetRequest{Since: &revision, Sign: true}},
		"news":          {wire.GetRequest{Since: &revision, Wait: true}, wire.GetRequest{Since: &revision, Wait: true, WaitMillis: &ever}},
		"news soon":     {wire.GetRequest{Since: &revision, Wait: true, WaitMillis: &five}, wire.GetRequest{Since: &revision, Wait: true, WaitMillis: &five}},
		"epoch":         {wire.GetRequest{WaitEpoch: &epoch, Wait: true}, wire.GetRequest{WaitEpoch: &epoch, Wait: true, WaitMillis: &ever}},
		"everything": {
			wire.GetRequest{Since: &revision, WaitEpoch: &epoch, Wait: true, WaitSize: &five},
			wire.GetRequest{Since: &revision, WaitEpoch: &epoch, Wait: true, WaitSize: &five},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := travel(t, wire.NewGet(c.sent, xlreg.Protocol20))
			equal(t, must[wire.GetRequest](t)(m.Get(xlreg.Protocol20)), c.want)
			got := must[wire.GetRequest](t)(m.Get(xlreg.Protocol19))
			if got.Since != nil || got.WaitEpoch != nil || got.Sign || got.Which != xlreg.AllSeats() {
				t.Errorf("over a classic carrier it asks for %+v", got)
			}
		})
	}
}

// A request for all leaves Which out, as section 4 allows; a peer that sends it
// all the same asks for the same. Over 2.0 WhichSet alone is looked at.
func TestGetAll(t *testing.T) {
	for _, c := range []struct {
		pb              *xlregpb.XLRegMsg
		classic, modern xlreg.Seats
	}{
		{&xlregpb.XLRegMsg{Which: proto.Uint64(1<<64 - 1)}, xlreg.SeatsBelow(64), xlreg.AllSeats()},
		{&xlregpb.XLRegMsg{Which: proto.Uint64(0)}, xlreg.Seats{}, xlreg.AllSeats()},
		{&xlregpb.XLRegMsg{WhichSet: []byte{}}, xlreg.AllSeats(), xlreg.Seats{}},
		{&xlregpb.XLRegMsg{Which: proto.Uint64(1), WhichSet: []byte{2, 0, 0}}, xlreg.SeatsOf(0), xlreg.SeatsOf(1)},
	} {
		c.pb.Op = op(wire.OpGetCluster)
		equal(t, must[wire.GetRequest](t)(raw(t, c.pb).Get(xlreg.Protocol18)), wire.GetRequest{Which: c.classic})
		equal(t, must[wire.GetRequest](t)(raw(t, c.pb).Get(xlreg.Protocol20)), wire.GetRequest{Which: c.modern})
	}
	for _, p := range protocols {
		var pb xlregpb.XLRegMsg
		if err := proto.Unmarshal(encode(t, wire.NewGet(wire.GetRequest{Which: xlreg.AllSeats()}, p)), &pb); err != nil {
			t.Fatal(err)
		}
		if pb.Which != nil || pb.WhichSet != nil {
			t.Errorf("over %v a request for all is %v", p, &pb)
		}
	}
}

func TestGetRefuses(t *testing.T) {
	m := raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpGetCluster), WhichSet: make([]byte, 129)})
	_, err := m.Get(xlreg.Protocol20)
	wantKind(t, err, xlreg.ErrProtocol)
	must[wire.GetRequest](t)(m.Get(xlreg.Protocol19))
	must[wire.GetRequest](t)(raw(t, &xlregpb.XLRegMsg{Op: op(wire.OpGetCluster), WhichSet: make([]byte, 128)}).Get(xlreg.Protocol20))
}

// The table of what ends a wait, for a cluster of at most 10 that has 4 members.
func TestUntil(t *testing.T) {
	n := func(n uint32) *uint32 { return &n }
	u := func(n uint64) *uint64 { return &n }
	state := xlreg.ClusterState{Epoch: 2, Revision: 100}
	for name, c := range map[string]struct {
		pb    *xlregpb.XLRegMsg
		met   bool          // with the 4
		ten   bool          // with 10
		limit time.Duration // negative: the registry's
	}{
		"nothing":            {&xlregpb.XLRegMsg{}, false, true, 0},
		"only since":         {&xlregpb.XLRegMsg{SinceRevision: u(100)}, false, false, 0},
		"only epoch":         {&xlregpb.XLRegMsg{WaitEpoch: u(2)}, false, false, 0},
		"size there":         {&xlregpb.XLRegMsg{WaitSize: n(4)}, true, true, -1},
		"size not there":     {&xlregpb.XLRegMsg{WaitSize: n(5)}, false, true, -1},
		"size past all":      {&xlregpb.XLRegMsg{WaitSize: n(1 << 31)}, false, true, -1},
		"size zero":          {&xlregpb.XLRegMsg{WaitSize: n(0)}, true, true, -1},
		"time":               {&xlregpb.XLRegMsg{WaitMillis: n(70)}, false, true, 70 * time.Millisecond},
		"no time":            {&xlregpb.XLRegMsg{WaitSize: n(5), WaitMillis: n(0)}, false, true, 0},
		"same revision":      {&xlregpb.XLRegMsg{WaitMillis: n(70), SinceRevision: u(100)}, false, false, 70 * time.Millisecond},
		"earlier revision":   {&xlregpb.XLRegMsg{WaitMillis: n(70), SinceRevision: u(99)}, true, true, 70 * time.Millisecond},
		"later revision":     {&xlregpb.XLRegMsg{WaitMillis: n(70), SinceRevision: u(101)}, true, true, 70 * time.Millisecond},
		"same epoch":         {&xlregpb.XLRegMsg{WaitMillis: n(70), WaitEpoch: u(2)}, false, false, 70 * time.Millisecond},
		"other epoch":        {&xlregpb.XLRegMsg{WaitMillis: n(70), WaitEpoch: u(1)}, true, true, 70 * time.Millisecond},
		"epoch or size":      {&xlregpb.XLRegMsg{WaitSize: n(10), WaitEpoch: u(2)}, false, true, -1},
		"revision or size":   {&xlregpb.XLRegMsg{WaitSize: n(10), SinceRevision: u(100)}, false, true, -1},
		"revision and epoch": {&xlregpb.XLRegMsg{WaitMillis: n(1), SinceRevision: u(100), WaitEpoch: u(1)}, true, true, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c.pb.Op = op(wire.OpGetCluster)
			r := must[wire.GetRequest](t)(raw(t, c.pb).Get(xlreg.Protocol20))
			until := r.Until(10)
			if got := until.Met(4, state); got != c.met {
				t.Errorf("with 4 members it is over: %v", got)
			}
			if got := until.Met(10, state); got != c.ten {
				t.Errorf("with 10 members it is over: %v", got)
			}
			if until.Limit != c.limit && (until.Limit >= 0 || c.limit >= 0) {
				t.Errorf("it lasts %v", until.Limit)
			}
			equal(t, r.Wait, c.limit != 0)
		})
	}
}
