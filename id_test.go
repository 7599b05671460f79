package xlreg_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
)

func TestIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{20, 32}).Draw(t, "n")
		raw := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "raw")
		node, err := xlreg.NodeIDFromBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		cluster, err := xlreg.ClusterIDFromBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(node.Bytes(), raw) || !bytes.Equal(cluster.Bytes(), raw) || node.String() != cluster.String() {
			t.Errorf("%x became %v and %v", raw, node, cluster)
		}
		for _, text := range []string{node.String(), strings.ToUpper(node.String())} {
			if again, err := xlreg.ParseNodeID(text); err != nil || again != node {
				t.Errorf("%s: got %v, %v", text, again, err)
			}
			if again, err := xlreg.ParseClusterID(text); err != nil || again != cluster {
				t.Errorf("%s: got %v, %v", text, again, err)
			}
		}
	})
}

func TestIDLengths(t *testing.T) {
	for n := range 70 {
		want := n == 20 || n == 32
		if _, err := xlreg.NodeIDFromBytes(make([]byte, n)); (err == nil) != want || err != nil && !errors.Is(err, xlreg.ErrBadID) {
			t.Errorf("node, %d bytes: %v", n, err)
		}
		if _, err := xlreg.ClusterIDFromBytes(make([]byte, n)); (err == nil) != want || err != nil && !errors.Is(err, xlreg.ErrBadID) {
			t.Errorf("cluster, %d bytes: %v", n, err)
		}
		want = n == 40 || n == 64
		if _, err := xlreg.ParseNodeID(strings.Repeat("a", n)); (err == nil) != want || err != nil && !errors.Is(err, xlreg.ErrBadID) {
			t.Errorf("node, %d digits: %v", n, err)
		}
	}
	for _, bad := range []string{"g" + strings.Repeat("a", 39), strings.Repeat("a", 38) + "\n\n", strings.Repeat("é", 20)} {
		if id, err := xlreg.ParseNodeID(bad); !errors.Is(err, xlreg.ErrBadID) || id != "" {
			t.Errorf("%q: got %v, %v", bad, id, err)
		}
	}
}

func TestIDBytesAreACopy(t *testing.T) {
	raw := make([]byte, 20)
	id, err := xlreg.NodeIDFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	raw[0] = 1
	id.Bytes()[1] = 1
	if id.String() != strings.Repeat("0", 40) {
		t.Errorf("the ID changed to %v", id)
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "Z", "_", "m0", "a-b_c.d", "_.", "a" + strings.Repeat("9", 127)} {
		if n, err := xlreg.ParseName(good); err != nil || string(n) != good {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", " ", "0a", "-a", ".a", "a b", "a\n", "a\x00", "a/b", "a:b", "é", "aé", "a\xff", "a" + strings.Repeat("9", 128),
	} {
		n, err := xlreg.ParseName(bad)
		if !errors.Is(err, xlreg.ErrIllFormedName) || n != "" {
			t.Errorf("%q: got %q, %v", bad, n, err)
		}
		if xlreg.Name(bad).Validate() == nil {
			t.Errorf("%q is valid", bad)
		}
	}
}

// TestNamesByTheRule draws every byte in both places.
func TestNamesByTheRule(t *testing.T) {
	for c := range 256 {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		inside := letter || '0' <= c && c <= '9' || c == '-' || c == '.'
		if err := xlreg.Name([]byte{byte(c)}).Validate(); (err == nil) != letter {
			t.Errorf("byte %#x first: %v", c, err)
		}
		if err := xlreg.Name([]byte{'a', byte(c)}).Validate(); (err == nil) != inside {
			t.Errorf("byte %#x inside: %v", c, err)
		}
	}
}
