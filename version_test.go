package xlreg_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
)

func ExampleVersion() {
	v, err := xlreg.ParseVersion("1.2.3.4")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v travels as % x\n", v, binary.LittleEndian.AppendUint32(nil, uint32(v)))
	// Output: 1.2.3.4 travels as 01 02 03 04
}

func TestVersionText(t *testing.T) {
	for text, want := range map[string]string{
		"1.9": "1.9", "1.9.0.0": "1.9", "1.9.0": "1.9", "1.9.24": "1.9.24", "1.9.24.0": "1.9.24", "1.0.0.1": "1.0.0.1",
		"0.0": "0.0", "2.0": "2.0", "255.255.255.255": "255.255.255.255", "0.0.0.7": "0.0.0.7",
	} {
		v, err := xlreg.ParseVersion(text)
		if err != nil || v.String() != want {
			t.Errorf("%s: got %v, %v", text, v, err)
		}
	}
	for _, bad := range []string{"", "1", "1.", ".1", "1..2", "1.2.3.4.5", "256.0", "1.256", "-1.0", "+1.0", "1.a", " 1.0", "1.0 ", "0x1.0"} {
		if v, err := xlreg.ParseVersion(bad); err == nil || v != 0 {
			t.Errorf("%q: got %v", bad, v)
		}
	}
}

func TestVersionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := xlreg.Version(rapid.Uint32().Draw(t, "v"))
		again, err := xlreg.ParseVersion(v.String())
		if err != nil || again != v {
			t.Errorf("%v: got %v, %v", v, again, err)
		}
		if v.Major() != int(v&255) || v.Minor() != int(v>>8&255) {
			t.Errorf("%v: %d and %d", v, v.Major(), v.Minor())
		}
	})
}

func TestProtocols(t *testing.T) {
	for _, c := range []struct {
		protocol xlreg.Protocol
		text     string
		classic  bool
	}{
		{xlreg.Protocol18, "1.8", true},
		{xlreg.Protocol19, "1.9", true},
		{xlreg.Protocol20, "2.0", false},
	} {
		p, err := xlreg.ParseProtocol(c.text)
		if err != nil || p != c.protocol || p.String() != c.text || p.Classic() != c.classic {
			t.Errorf("%s: got %v, %v", c.text, p, err)
		}
		if p.Version().String() != c.text {
			t.Errorf("%s: version %v", c.text, p.Version())
		}
	}
	for _, bad := range []string{"", "2", "1.7", "2.0.0", "2.0 "} {
		if p, err := xlreg.ParseProtocol(bad); err == nil || p != 0 {
			t.Errorf("%q: got %d", bad, p)
		}
	}
}

// The clients in other languages have this module's version, whoever raises it.
func TestOneRelease(t *testing.T) {
	for path, line := range map[string]string{
		"clients/python/src/xlreg/_version.py": `__version__ = "` + xlreg.Release + `"`,
		"clients/ruby/lib/xlreg/version.rb":    "VERSION = '" + xlreg.Release + "'",
	} {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), line+"\n") {
			t.Errorf("%s has no line %s: %v", path, line, err)
		}
	}
}
