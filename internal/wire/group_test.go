package wire_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// Groups are no part of the protocol: one is refused wherever it stands, before its
// depth has cost anything.
func TestGroupsAreRefused(t *testing.T) {
	const unknown, specs, tokens = 1000, 11, 21
	open := protowire.AppendTag(nil, unknown, protowire.StartGroupType)
	end := protowire.AppendTag(nil, unknown, protowire.EndGroupType)
	group := slices.Concat(open, end)
	deep := slices.Concat(slices.Repeat(open, 9000), slices.Repeat(end, 9000))
	bye := encode(t, wire.NewBye())
	within := func(number protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
	}
	for name, b := range map[string][]byte{
		"a group":             group,
		"groups in groups":    deep,
		"one in MemberSpecs":  within(specs, group),
		"many in MemberSpecs": within(specs, deep),
		"one in Tokens":       within(tokens, group),
		"MemberSpecs as one":  protowire.AppendTag(protowire.AppendTag(nil, specs, protowire.StartGroupType), specs, protowire.EndGroupType),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.Unmarshal(slices.Concat(bye, b))
			wantKind(t, err, xlreg.ErrProtocol)
		})
	}
	var scan wire.Scan
	if scan.Whole(slices.Concat(bye, group)) || scan.Whole(slices.Concat(bye, group, bye)) {
		t.Error("a message with a group in it can be whole")
	}
}
