package hostile

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

const (
	ordersVariable = "XLREG_HOSTILE_ORDERS"
	helloLen       = 256 // of a registry whose comms key has 2048 bits
	maxSwarm       = 5000
	dialsAtOnce    = 16
)

// orders are what an attacking process does.
type orders struct {
	Kind        string // one of kinds
	Connections int    // held at once
	From        string // address that the attackers have, or the first of them
	Addresses   int    // how many they have; 0 is one
	To          string // address of the registry
	Sig         string // fingerprint of the registry's key
	Cluster     string // name of a large one
	Keyed       []byte // ID of one with a key
}

// kinds are what attackers do with a connection once they have it. Each ends when
// the registry closes the connection, or when nothing more can come of it, and
// then begins anew. ready is called when the attack is under way.
var kinds = map[string]func(o *orders, nc net.Conn, ready func()){
	"says nothing": func(_ *orders, nc net.Conn, ready func()) {
		ready()
		untilClosed(nc)
	},
	"a byte a second": func(_ *orders, nc net.Conn, ready func()) {
		ready()
		drip(nc, garbage(helloLen))
	},
	"half a Hello": func(_ *orders, nc net.Conn, ready func()) {
		_, _ = nc.Write(garbage(helloLen / 2))
		ready()
		untilClosed(nc)
	},
	"half a TLS record": func(_ *orders, nc net.Conn, ready func()) {
		hello := clientHello()
		_, _ = nc.Write(hello[:len(hello)/2])
		ready()
		untilClosed(nc)
	},
	"reads nothing": func(o *orders, nc net.Conn, ready func()) {
		askWithoutReading(o, nc)
		ready()
		untilWriteFails(nc)
	},
	"garbage Hellos": func(_ *orders, nc net.Conn, ready func()) {
		_, _ = nc.Write(garbage(helloLen))
		ready()
		untilClosed(nc)
	},
	"garbage Hellos, gone at once": func(_ *orders, nc net.Conn, ready func()) {
		_, _ = nc.Write(garbage(helloLen))
		ready()
	},
	"TLS handshakes": func(_ *orders, nc net.Conn, ready func()) {
		_, _ = nc.Write(clientHello())
		_, _ = nc.Read(make([]byte, 1)) // by then the registry has done its part
		ready()
	},
}

// garbage returns n bytes that no registry takes for TLS.
func garbage(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	b[0] = 0
	return b
}

// clientHello returns the first record that a client sends which speaks 2.0: made
// once, since an attacker need not make the effort again that a registry has to.
var clientHello = sync.OnceValue(newClientHello)

func newClientHello() []byte {
	var sent written
	client := tls.Client(&sent, &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"xlreg/2"},
		InsecureSkipVerify: true, // whoever listens
	})
	_ = client.HandshakeContext(context.Background()) // fails where the answer should come
	return sent.Bytes()
}

// written is a connection that keeps what is written and ends when it is read.
type written struct {
	net.Conn
	bytes.Buffer
}

func (w *written) Write(b []byte) (int, error)      { return w.Buffer.Write(b) }
func (w *written) Read([]byte) (int, error)         { return 0, io.EOF }
func (w *written) Close() error                     { return nil }
func (w *written) SetDeadline(time.Time) error      { return nil }
func (w *written) SetReadDeadline(time.Time) error  { return nil }
func (w *written) SetWriteDeadline(time.Time) error { return nil }
func (w *written) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

func untilClosed(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }

func drip(nc net.Conn, b []byte) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for i := range b {
		if _, err := nc.Write(b[i : i+1]); err != nil {
			return
		}
		<-second.C
	}
}

// askWithoutReading opens a session of 2.0, and asks for a large roster over and
// over. It has no certificate: anybody may read.
func askWithoutReading(o *orders, nc net.Conn) {
	_ = nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := session.Connect(ctx, nc, session.ClientConfig{Protocol: xlreg.Protocol20, Fingerprint: o.Sig})
	if err != nil {
		return
	}
	get := wire.NewGet(wire.GetRequest{Ref: xlreg.ClusterRef{Name: xlreg.Name(o.Cluster)}, Which: xlreg.AllSeats()}, xlreg.Protocol20)
	for range 50 {
		if c.Send(ctx, get) != nil {
			return
		}
	}
}

// untilWriteFails notices the end of a connection without reading from it: bytes
// that follow whole TLS records are the head of another.
func untilWriteFails(nc net.Conn) {
	drip(nc, []byte{0x17, 0x03, 0x03, 0x40, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
}

// attack is the attacking process: it says when all its connections have been
// opened once, and goes on until its input ends.
func attack(said string, in io.Reader, out io.Writer) error {
	o := new(orders)
	if err := json.Unmarshal([]byte(said), o); err != nil {
		return err
	}
	run, ok := kinds[o.Kind]
	if _, asks := requests[o.Kind]; asks {
		run, ok = intrude, true
	}
	if !ok {
		return fmt.Errorf("no attack %q", o.Kind)
	}
	d := newDialer(o)
	var begun sync.WaitGroup
	for range o.Connections {
		begun.Add(1)
		go d.again(run, sync.OnceFunc(begun.Done)) // ends with the process
	}
	go func() {
		begun.Wait()
		fmt.Fprintln(out, "ready")
	}()
	_, err := io.Copy(io.Discard, in)
	return err
}

// dialer makes an attacker's connections, few at once, so that it does not take
// the processors with its own dialing.
type dialer struct {
	o      *orders
	first  netip.Addr
	dialed atomic.Uint32
	tokens chan struct{}
}

func newDialer(o *orders) *dialer {
	return &dialer{o: o, first: netip.MustParseAddr(o.From), tokens: make(chan struct{}, dialsAtOnce)}
}

// from returns the address for the next connection: each of them in turn.
func (d *dialer) from() net.IP {
	b := d.first.As4()
	b[3] += byte(d.dialed.Add(1) % uint32(max(1, d.o.Addresses)))
	return b[:]
}

// lateBind has the system choose the local port when it knows both ends, so that
// a port whose last connection is in TIME_WAIT serves again.
func lateBind(_, _ string, c syscall.RawConn) error {
	const bindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

// again attacks over one connection after the other, for ever.
func (d *dialer) again(run func(*orders, net.Conn, func()), ready func()) {
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		nc, err := d.dial()
		if err != nil {
			<-pause.C
			continue
		}
		run(d.o, nc, ready)
		_ = nc.(*net.TCPConn).SetLinger(0)
		_ = nc.Close()
	}
}

func (d *dialer) dial() (net.Conn, error) {
	d.tokens <- struct{}{}
	defer func() { <-d.tokens }()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: d.from()}, Control: lateBind}
	return from.DialContext(context.Background(), "tcp", d.o.To)
}

// swarm is an attack under way, from one or more processes.
type swarm struct {
	t         *testing.T
	processes []*exec.Cmd
	ready     []io.Reader
	begun     time.Time
	share     float64 // of a processor, once it has been stopped
}

// besiege starts an attack and returns when all its connections are open.
func besiege(t *testing.T, o orders) *swarm {
	t.Helper()
	s := &swarm{t: t, begun: time.Now()}
	t.Cleanup(s.stop)
	for left := o.Connections; left > 0; left -= maxSwarm {
		o.Connections = min(left, maxSwarm)
		s.start(o)
	}
	for _, ready := range s.ready {
		if _, err := io.ReadFull(ready, make([]byte, len("ready\n"))); err != nil {
			t.Fatalf("attack %q did not get under way: %v", o.Kind, err)
		}
	}
	return s
}

func (s *swarm) start(o orders) {
	s.t.Helper()
	said, err := json.Marshal(o)
	if err != nil {
		s.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self)
	cmd.Env = append(os.Environ(), ordersVariable+"="+string(said), "GOMAXPROCS=1") // one attacker, one processor
	cmd.Stderr = s.t.Output()
	_, err = cmd.StdinPipe() // open as long as this process lives
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.processes, s.ready = append(s.processes, cmd), append(s.ready, out)
}

// stop ends the attack at once. It may be called again.
func (s *swarm) stop() {
	var used time.Duration
	for _, cmd := range s.processes {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		used += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if len(s.processes) > 0 {
		s.share = float64(used) / float64(time.Since(s.begun))
	}
	s.processes = nil
}
