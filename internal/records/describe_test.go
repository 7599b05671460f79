package records

import (
	"strings"
	"testing"
	"unicode"

	"github.com/xlattice/xlreg"
)

func TestDescribe(t *testing.T) {
	cluster := xlreg.ClusterID(strings.Repeat("\xc1", xlreg.ShortIDLen))
	node := xlreg.NodeID(strings.Repeat("\x07", xlreg.LongIDLen))
	sum := xlreg.KeySum(strings.Repeat("\x05", xlreg.KeySumLen))
	key := xlreg.ClusterKey(strings.Repeat("\x09", xlreg.ClusterKeyLen))
	inHex := "in cluster " + strings.Repeat("c1", xlreg.ShortIDLen)
	for _, c := range []struct{ key, want string }{
		{nodeKey(node), "node " + strings.Repeat("07", xlreg.LongIDLen)},
		{clusterKey(cluster), strings.TrimPrefix(inHex, "in ")},
		{seatKey(cluster, 513), "seat 513 " + inHex},
		{nodeOfKeyKey(sum), "index entry of the sig key " + strings.Repeat("05", xlreg.KeySumLen)},
		{seatsOfKeyKey(cluster, sum), "index entry of the sig key " + strings.Repeat("05", xlreg.KeySumLen) + " " + inHex},
		{inviteKey(cluster, key), "invite " + strings.Repeat("09", xlreg.ClusterKeyLen) + " of " + inHex[len("in "):]},
		{useKey(cluster, key, sum), "use " + strings.Repeat("09", xlreg.ClusterKeyLen) + strings.Repeat("05", xlreg.KeySumLen) + " of an invite of " + inHex[len("in "):]},
		{banKey(cluster, sum), "ban of the sig key " + strings.Repeat("05", xlreg.KeySumLen) + " " + inHex},
		{inCluster(seatByIDRoot, cluster) + string(node), "index entry of node " + strings.Repeat("07", xlreg.LongIDLen) + " " + inHex},
		{seatByNameKey(cluster, "db 1\n"), `index entry of member "db 1\n" ` + inHex},
		{nameKey("web", ""), `cluster name "web"`},
		{nameKey("web", key), `cluster name "web" with key ` + strings.Repeat("09", xlreg.ClusterKeyLen)},
		{"o\x01", `cluster name "" with key 01`},
		{"", "record without a key"},
		{"x\xff", "record of no known kind under 78ff"},
		{"c\x14\x01", "record of no known kind under 631401"},
		{"i\x01\x02\x03", "record of no known kind under 69010203"},
		{seatKey(cluster, 0) + "!", "record of no known kind under 6314" + strings.Repeat("c1", xlreg.ShortIDLen) + "000021"},
	} {
		if got := Describe(c.key); got != c.want {
			t.Errorf("%q: %s, want %s", c.key, got, c.want)
		}
	}
}

// What is said of a record fits one line whatever its key is.
func FuzzDescribe(f *testing.F) {
	f.Add("c\x14\x01")
	f.Add("m\xff" + strings.Repeat("\x1b", 400))
	f.Fuzz(func(t *testing.T, key string) {
		got := Describe(key)
		if len(got) > 700 || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: %q", key, got)
		}
	})
}
