package host

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

func TestChoose(t *testing.T) {
	cases := []struct {
		name      string
		own, want string
		only4     bool
	}{
		{"as usual", "127.0.0.1 192.0.2.7 ::1 2001:db8::7 fe80::7", "192.0.2.7 2001:db8::7", false},
		{"IPv4 alone", "127.0.0.1 192.0.2.7 ::1 2001:db8::7", "192.0.2.7", true},
		{"private ones count", "127.0.0.1 10.0.0.1 172.17.0.1 fd00::1", "10.0.0.1 172.17.0.1 fd00::1", false},
		{"no network", "127.0.0.1 ::1 fe80::7 169.254.1.1", "127.0.0.1 ::1", false},
		{"no network, IPv4 alone", "127.0.0.1 ::1", "127.0.0.1", true},
		{"nothing", "", "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := choose(addrs(c.own), c.only4); !slices.Equal(got, addrs(c.want)) {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func addrs(list string) []netip.Addr {
	var all []netip.Addr
	for s := range strings.FieldsSeq(list) {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func TestReachable(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7":        "192.0.2.7",
		"::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8::7":      "2001:db8::7",
		"fe80::7%eth0":     "fe80::7",
	} {
		got, err := reachable(netip.MustParseAddr(ip))
		if err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%s: got %v, %v", ip, got, err)
		}
	}
	for _, all := range []string{"0.0.0.0", "::"} {
		got, err := reachable(netip.MustParseAddr(all))
		if err != nil || len(got) == 0 {
			t.Fatalf("%s: got %v, %v", all, got, err)
		}
		for _, ip := range got {
			if ip.IsUnspecified() || ip.IsLinkLocalUnicast() || all == "0.0.0.0" && !ip.Is4() {
				t.Errorf("%s: %v among %v", all, ip, got)
			}
		}
	}
}

// What is bound is what clients are told, each with its real port, unless they
// are told something else.
func TestEndpoints(t *testing.T) {
	one, other := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	h := &Host{listen: listening{listeners: []net.Listener{one, other}}}
	got, err := h.endpoints(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []xlreg.Endpoint{xlreg.Endpoint(one.Addr().String()), xlreg.Endpoint(other.Addr().String())}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	public := []xlreg.Endpoint{"registry.example.org:56789"}
	if got, err := h.endpoints(public); err != nil || !slices.Equal(got, public) {
		t.Errorf("got %v, %v", got, err)
	}
}

// No more endpoints are told than credentials can hold.
func TestEndpointsAreBounded(t *testing.T) {
	h := new(Host)
	for range xlreg.MaxEndpoints + 1 {
		h.listen.listeners = append(h.listen.listeners, listen(t, "127.0.0.1:0"))
	}
	if got, err := h.endpoints(nil); err != nil || len(got) != xlreg.MaxEndpoints {
		t.Errorf("%d endpoints, %v", len(got), err)
	}
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
