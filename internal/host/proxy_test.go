package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
)

// Headers of the PROXY protocol, as its text has them: a signature, version and command,
// family, length, addresses and ports.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyTCP4      = proxySignature + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x07" + "\x7f\x00\x00\x01" + "\x30\x39" + "\xdd\xd5" // 203.0.113.7:12345
	proxyTCP6      = proxySignature + "\x21\x21\x00\x24" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39" + "\xdd\xd5"
	proxyLocal = proxySignature + "\x20\x00\x00\x00"
)

// behind runs a registry whose load balancers are in these networks.
func behind(t *testing.T, networks ...string) *running {
	t.Helper()
	data := memory.New()
	t.Cleanup(func() { data.Close() })
	return start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", func(cfg *host.Config) {
		cfg.Limits = guard.Limits{Hello: time.Second, Drain: time.Second}
		for _, network := range networks {
			cfg.ProxyFrom = append(cfg.ProxyFrom, netip.MustParsePrefix(network))
		}
	})
}

// observed says something first, and returns from where the registry then sees it.
func (r *running) observed(t *testing.T, first string) (xlreg.Endpoint, error) {
	t.Helper()
	nc, err := net.Dial("tcp", r.Bound()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for i := range first { // a byte at a time, as it may come
		if _, err := nc.Write([]byte{first[i]}); err != nil {
			return "", err
		}
	}
	c, err := session.Connect(t.Context(), nc, session.ClientConfig{Protocol: xlreg.Protocol20, SigKey: testKeys()[0].SigKey})
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Send(t.Context(), wire.NewRegCredRequest()); err != nil {
		return "", err
	}
	reply, err := c.Receive(t.Context())
	if err != nil {
		return "", err
	}
	return reply.Observed(), nil
}

// What a load balancer says of its client counts, and it has to say it.
func TestLoadBalancersSayForWhom(t *testing.T) {
	r := behind(t, "10.0.0.0/8", "127.0.0.0/8")
	for name, c := range map[string]struct{ header, want string }{
		"an IPv4 client": {proxyTCP4, "203.0.113.7:12345"},
		"an IPv6 client": {proxyTCP6, "[2001:db8::7]:12345"},
		"a health check": {proxyLocal, "127.0.0.1:"},
	} {
		got, err := r.observed(t, c.header)
		if err != nil || !strings.HasPrefix(string(got), c.want) {
			t.Errorf("%s: seen at %q, %v; want %q", name, got, err, c.want)
		}
	}
	long := proxySignature + "\x21\x11\xff\xff"
	for name, header := range map[string]string{
		"nothing":              "",
		"version 1":            "PROXY TCP4 203.0.113.7 127.0.0.1 12345 56789\r\n",
		"a header of 64 KiB":   long,
		"a header of UDP":      proxySignature + "\x21\x12" + proxyTCP4[14:],
		"a header of nothing":  proxySignature + "\x21\x00\x00\x00",
		"version 3":            proxySignature + "\x31" + proxyTCP4[13:],
		"too few addresses":    proxySignature + "\x21\x11\x00\x04\x01\x02\x03\x04",
		"half of a header":     proxyTCP4[:20],
		"an unknown command":   proxySignature + "\x2f" + proxyTCP4[13:],
		"an empty UNIX socket": proxySignature + "\x21\x31\x00\x00",
	} {
		if got, err := r.observed(t, header); err == nil {
			t.Errorf("%s: seen at %q", name, got)
		}
	}
}

// Whoever is no load balancer says nothing, and is not believed.
func TestNobodyElseSaysForWhom(t *testing.T) {
	r := behind(t, "10.0.0.0/8")
	if got, err := r.observed(t, ""); err != nil || !strings.HasPrefix(string(got), "127.0.0.1:") {
		t.Errorf("seen at %q, %v", got, err)
	}
	if got, err := r.observed(t, proxyTCP4); err == nil {
		t.Errorf("a stranger was believed to be %q", got)
	}
}

// The limits of an address are those of the client and not of the load balancer, and
// headers that do not come keep nobody out.
func TestLimitsBehindALoadBalancer(t *testing.T) {
	data := memory.New()
	defer data.Close()
	r := start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", func(cfg *host.Config) {
		cfg.Limits = guard.Limits{ConnectionsPerAddress: 1, Drain: time.Second}
		cfg.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	silent, err := net.Dial("tcp", r.Bound()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	connect := func(last byte) (session.Conn, error) {
		nc, err := net.Dial("tcp", r.Bound()[0])
		if err != nil {
			t.Fatal(err)
		}
		header := []byte(proxyTCP4)
		header[19] = last
		if _, err := nc.Write(header); err != nil {
			t.Fatal(err)
		}
		return session.Connect(t.Context(), nc, session.ClientConfig{Protocol: xlreg.Protocol20, SigKey: testKeys()[0].SigKey})
	}
	for last := range byte(3) {
		c, err := connect(last)
		if err != nil {
			t.Fatalf("client %d: %v", last, err)
		}
		defer c.Close()
	}
	second, err := connect(1)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if m, err := second.Receive(ctx); err != nil || !errors.Is(m.Err(), xlreg.ErrTooManyRequests) {
		t.Errorf("a second connection of one client: %v, %v", m, err)
	}
}

// The header and what follows it are told apart by its length alone.
func TestNothingBehindAHeaderIsLost(t *testing.T) {
	r := behind(t, "127.0.0.1/32")
	nc, err := net.Dial("tcp", r.Bound()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	more := []byte{0x04, 0x00, 0x03, 'n', 'o', 'p'} // an extension that says nothing
	header := []byte(proxyTCP4)
	binary.BigEndian.PutUint16(header[14:], uint16(12+len(more)))
	c, err := session.Connect(t.Context(), &prefixed{Conn: nc, first: append(header, more...)},
		session.ClientConfig{Protocol: xlreg.Protocol20, SigKey: testKeys()[0].SigKey})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// prefixed says something in one write with the first that it is told to write.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	n, err := io.Copy(p.Conn, bytes.NewReader(append(p.first, b...)))
	n -= int64(len(p.first))
	p.first = nil
	return int(n), err
}
