package launch

import (
	"net"
	"testing"
)

// A machine that others reach only over IPv6 listens there.
func TestEveryAddress(t *testing.T) {
	for _, test := range []struct {
		name string
		own  []string
		want string
	}{
		{"both", []string{"127.0.0.1/8", "::1/128", "192.0.2.7/24", "2001:db8::7/64"}, "0.0.0.0"},
		{"both, IPv6 first", []string{"2001:db8::7/64", "192.0.2.7/24"}, "0.0.0.0"},
		{"IPv6 only", []string{"127.0.0.1/8", "::1/128", "fe80::7/64", "fd00::7/64"}, "::"},
		{"IPv4 for the link only", []string{"169.254.3.4/16", "2001:db8::7/64"}, "::"},
		{"alone", []string{"127.0.0.1/8", "::1/128", "fe80::7/64"}, "0.0.0.0"},
		{"nothing", nil, "0.0.0.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var own []net.Addr
			for _, text := range test.own {
				addr, network, err := net.ParseCIDR(text)
				if err != nil {
					t.Fatal(err)
				}
				own = append(own, &net.IPNet{IP: addr, Mask: network.Mask})
			}
			if got := everyAddressOf(own).String(); got != test.want {
				t.Errorf("listens on %s, want %s", got, test.want)
			}
		})
	}
}
