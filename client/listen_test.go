package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/xlregtest"
)

// listenerAt is a listener that says it is at some address.
type listenerAt struct {
	net.Listener
	addr string
}

func (l listenerAt) Addr() net.Addr { return l }
func (listenerAt) Network() string  { return "tcp" }
func (l listenerAt) String() string { return l.addr }

func TestAddressesThatNobodyCouldReach(t *testing.T) {
	f := newFake(t, xlreg.Protocol20)
	node := newNode(t, "n", "127.0.0.1:1")
	tests := map[string]struct {
		listeners []string
		advertise []xlreg.Endpoint
		text      string
	}{
		"every IPv4 address":      {[]string{"0.0.0.0:5000"}, nil, "all addresses"},
		"every address":           {[]string{"127.0.0.1:1", "[::]:5000"}, nil, "listener 1"},
		"port 0":                  {[]string{"127.0.0.1:0"}, nil, "no port"},
		"zone":                    {[]string{"[fe80::1%eth0]:5000"}, nil, "zone"},
		"unix socket":             {[]string{"/run/socket"}, nil, "no IP address"},
		"advertised every":        {[]string{"127.0.0.1:1"}, []xlreg.Endpoint{"0.0.0.0:5000"}, "all addresses"},
		"advertised port 0":       {nil, []xlreg.Endpoint{"127.0.0.1:0"}, "port"},
		"advertised nothing":      {[]string{"127.0.0.1:1"}, []xlreg.Endpoint{"", ""}, "no such listener"},
		"advertised no address":   {nil, []xlreg.Endpoint{"nowhere.test:1"}, "does not resolve"},
		"advertised hidden every": {nil, []xlreg.Endpoint{"everywhere.test:1"}, "all addresses"},
		"advertised group":        {nil, []xlreg.Endpoint{"224.0.0.1:1"}, "multicast"},
		"advertised IPv6 group":   {nil, []xlreg.Endpoint{"[ff02::1]:1"}, "multicast"},
		"advertised broadcast":    {nil, []xlreg.Endpoint{"255.255.255.255:1"}, "broadcast"},
		"advertised local one":    {nil, []xlreg.Endpoint{"127.255.255.255:1"}, "broadcast"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := f.formOptions(node)
			o.Advertise, o.Resolver = tt.advertise, hosts{"everywhere.test": "0.0.0.0"}
			for _, addr := range tt.listeners {
				o.Listeners = append(o.Listeners, listenerAt{addr: addr})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a name is tried until then
			defer cancel()
			_, err := client.Form(ctx, f.target(), o)
			if !errors.Is(err, client.ErrAddress) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v", err)
			}
		})
	}
	if f.dialled != 0 || fmt.Sprint(node.Endpoints()) != "[127.0.0.1:1]" {
		t.Fatalf("dialled %d times, endpoints %v", f.dialled, node.Endpoints())
	}
}

// A name that does not resolve yet is looked up again, unless nobody waits.
func TestNameThatResolvesLater(t *testing.T) {
	r := xlregtest.Start(t)
	for noWait, asked := range map[bool]int{false: 4, true: 1} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		later := &laterHosts{left: 3, hosts: hosts{"late.test": "192.0.2.1"}}
		joined := false
		_, err := client.Form(ctx, r.Target(), client.FormOptions{
			Options: client.Options{Node: xlregtest.Node(t, "n")}, Cluster: xlreg.ClusterRef{Name: "c"}, Size: 2,
			Advertise: []xlreg.Endpoint{"late.test:1"}, Resolver: later, NoWait: noWait,
			Joined: func(xlreg.Cluster) { joined = true; cancel() }, // nobody else comes
		})
		if later.asked != asked || joined == noWait || errors.Is(err, client.ErrAddress) != noWait {
			t.Errorf("without waiting %v: %v, joined %v, asked %d times", noWait, err, joined, later.asked)
		}
	}
}

// laterHosts knows its hosts only after it was asked in vain.
type laterHosts struct {
	hosts
	left, asked int
}

func (h *laterHosts) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	h.asked++
	if h.asked <= h.left {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return h.hosts.LookupNetIP(ctx, network, host)
}

func TestAddressesThatAreRegistered(t *testing.T) {
	tests := map[string]struct {
		listeners []string
		advertise []xlreg.Endpoint
		want      string
	}{
		"as they are":      {[]string{"127.0.0.1:1", "[::1]:2"}, nil, "[127.0.0.1:1 [::1]:2]"},
		"IPv4 in IPv6":     {[]string{"[::ffff:127.0.0.1]:1"}, nil, "[127.0.0.1:1]"},
		"first replaced":   {[]string{"0.0.0.0:1", "127.0.0.1:2"}, []xlreg.Endpoint{"h.test:1"}, "[h.test:1 127.0.0.1:2]"},
		"second replaced":  {[]string{"127.0.0.1:1", "0.0.0.0:2"}, []xlreg.Endpoint{"", "h.test:2"}, "[127.0.0.1:1 h.test:2]"},
		"advertised alone": {nil, []xlreg.Endpoint{"192.0.2.1:1"}, "[192.0.2.1:1]"},
		"none":             {nil, nil, "[127.0.0.1:4001]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, xlreg.Protocol20)
			f.addOther("alice")
			f.addOther("bob")
			o := f.formOptions(newNode(t, "n"))
			o.Advertise, o.Resolver = tt.advertise, hosts{"h.test": "192.0.2.1"}
			for _, addr := range tt.listeners {
				o.Listeners = append(o.Listeners, listenerAt{addr: addr})
			}
			m, err := client.Form(t.Context(), f.target(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(m.Self().Token.Endpoints); got != tt.want {
				t.Fatalf("registered %s, want %s", got, tt.want)
			}
		})
	}
}
