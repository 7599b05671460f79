package xlreg_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

func ExampleParseEndpoint() {
	e, err := xlreg.ParseEndpoint("[2001:db8::7]:56789")
	if err != nil {
		fmt.Println(err)
		return
	}
	addr, ok := e.Addr()
	fmt.Println(e.Host(), e.Port(), addr, ok)
	// Output: 2001:db8::7 56789 2001:db8::7 true
}

func TestEndpoints(t *testing.T) {
	longest := strings.Repeat("a", 255) + ":56789"
	cases := []struct {
		text, host string
		port       int
		isAddr     bool
	}{
		{"127.0.0.1:1", "127.0.0.1", 1, true},
		{"0.0.0.0:65535", "0.0.0.0", 65535, true},
		{"[::1]:56789", "::1", 56789, true},
		{"[::]:9", "::", 9, true},
		{"[2001:DB8:0:0::7]:80", "2001:DB8:0:0::7", 80, true},
		{"[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", 80, true},
		{"localhost:80", "localhost", 80, false},
		{"a.b-c.d_e.F1:80", "a.b-c.d_e.F1", 80, false},
		{"_srv.example.org:80", "_srv.example.org", 80, false},
		{"1.2.3.4.example:80", "1.2.3.4.example", 80, false},
		{"1a:80", "1a", 80, false},
		{"a-:80", "a-", 80, false},
		{longest, longest[:255], 56789, false},
	}
	for _, c := range cases {
		e, err := xlreg.ParseEndpoint(c.text)
		if err != nil {
			t.Error(err)
			continue
		}
		_, isAddr := e.Addr()
		if string(e) != c.text || e.Host() != c.host || e.Port() != c.port || isAddr != c.isAddr || e.Validate() != nil {
			t.Errorf("%s: host %q, port %d, an address: %v", e, e.Host(), e.Port(), isAddr)
		}
	}
}

func TestBadEndpoints(t *testing.T) {
	for _, bad := range []string{
		"", ":", "a", "a:", ":80", "a:0", "a:00", "a:080", "a:65536", "a:99999999999999999999", "a:-1", "a:+1", "a: 1", "a:1 ", "a:http", "a:1x",
		"a:٣", "a:1\n",
		"-:80", "--version:22", "-oProxyCommand=x:22", "-a.example.org:80", "a.-b:80",
		"1.2.3:80", "1.2.3.4.5:80", "256.1.1.1:80", "01.2.3.4:80", "1:80", "12.34:80", "1.2.3.4.:80",
		"::1:80", "2001:db8::1:80", "[::1]", "[::1]80", "[::1:80", "::1]:80", "[]:80", "[fe80::1%eth0]:80", "[127.0.0.1]:80", "[a.example]:80", "[[::1]]:80",
		"a..b:80", ".a:80", "a.:80", "a b:80", "a/b:80", "a\x00:80", "é.example:80", "*.example:80", "user@a:80", "tcp:a:80",
		strings.Repeat("a", 256) + ":56789",
	} {
		if e, err := xlreg.ParseEndpoint(bad); err == nil || e != "" {
			t.Errorf("%q is taken", bad)
		}
		if xlreg.Endpoint(bad).Validate() == nil {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestAccessorsOfBadEndpoints(t *testing.T) {
	for _, bad := range []xlreg.Endpoint{"", ":", "a", "a:b", "]:", "[:1"} {
		if bad.Port() > 1 {
			t.Errorf("%q has port %d", bad, bad.Port())
		}
		if _, ok := bad.Addr(); ok {
			t.Errorf("%q has an address", bad)
		}
	}
}

func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:1", "[::1]:56789", "a.b:80", "1.2.3:4", "a:0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := xlreg.ParseEndpoint(s)
		if err != nil {
			return
		}
		host := e.Host()
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		if again := fmt.Sprintf("%s:%d", host, e.Port()); again != s || len(s) > xlreg.MaxEndpointLen {
			t.Errorf("%q taken apart and put together is %q", s, again)
		}
	})
}
