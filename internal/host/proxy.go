package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
)

// Bounds on headers of the PROXY protocol, which come before anything else.
const (
	proxyHead    = 16      // bytes of a header up to its length
	maxProxyRest = 4 << 10 // bytes of the rest, which may say more than addresses
	maxProxied   = 1024    // headers that are waited for at once
)

// proxyListener learns from load balancers for whom their connections are, by version 2
// of the PROXY protocol. Those that come from one of the given networks have to begin with
// it, and are closed if they do not. From anybody else it is not believed: their
// connections are what they seem.
type proxyListener struct {
	net.Listener
	from    []netip.Prefix
	timeout time.Duration // for a whole header
	log     *slog.Logger

	accepted chan accepted
	pending  chan struct{}   // a place for each header that is waited for
	closing  context.Context //nolint:containedctx // ends with Close, which is all that ends it
	stop     context.CancelFunc
	running  sync.WaitGroup
	close    func() error // does it once
}

type accepted struct {
	nc  net.Conn
	err error
}

// newProxyListener returns a listener on l, which it closes.
func newProxyListener(l net.Listener, from []netip.Prefix, timeout time.Duration, log *slog.Logger) *proxyListener {
	p := &proxyListener{
		Listener: l, from: from, timeout: timeout, log: log,
		accepted: make(chan accepted), pending: make(chan struct{}, maxProxied),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.closing, p.stop = context.WithCancel(context.Background())
	p.close = sync.OnceValue(func() error {
		p.stop()
		err := p.Listener.Close()
		p.running.Wait()
		return err
	})
	p.running.Go(p.run)
	return p
}

// Accept implements net.Listener.
func (p *proxyListener) Accept() (net.Conn, error) {
	select {
	case a := <-p.accepted:
		return a.nc, a.err
	case <-p.closing.Done():
		return nil, net.ErrClosed
	}
}

// SetDeadline has Accept return, as that of a net.TCPListener does: whether connections
// are still accepted is seen by that.
func (p *proxyListener) SetDeadline(t time.Time) error {
	d, ok := p.Listener.(interface{ SetDeadline(t time.Time) error })
	if !ok {
		return errors.ErrUnsupported
	}
	return d.SetDeadline(t)
}

// Close implements net.Listener.
func (p *proxyListener) Close() error { return p.close() }

// run accepts connections, and waits for headers beside that.
func (p *proxyListener) run() {
	for p.closing.Err() == nil {
		nc, err := p.Listener.Accept()
		tcp, ok := nc.(*net.TCPConn)
		if err != nil || !ok || !p.believes(tcp) {
			p.hand(accepted{nc, err})
			continue
		}
		select {
		case p.pending <- struct{}{}:
			p.running.Go(func() { p.receive(tcp) })
		case <-p.closing.Done():
			_ = tcp.Close()
		}
	}
}

func (p *proxyListener) believes(nc *net.TCPConn) bool {
	addr, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := addr.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(p.from, func(net netip.Prefix) bool { return net.Contains(ip) })
}

// hand gives a connection to whoever accepts, or closes it.
func (p *proxyListener) hand(a accepted) {
	select {
	case p.accepted <- a:
	case <-p.closing.Done():
		if a.nc != nil {
			_ = a.nc.Close()
		}
	}
}

// receive waits for the header of a connection.
func (p *proxyListener) receive(nc *net.TCPConn) {
	defer func() { <-p.pending }()
	stop := context.AfterFunc(p.closing, func() { _ = nc.Close() })
	defer stop()
	from, err := readProxied(nc, p.timeout)
	if err != nil {
		_ = nc.Close()
		if p.closing.Err() == nil {
			p.log.Log(context.Background(), levelOf(err), "a load balancer did not say for whom it connects",
				"addr", nc.RemoteAddr().String(), "err", err)
		}
		return
	}
	p.hand(accepted{&proxied{nc, from}, nil})
}

// levelOf returns how loud it is said that a header did not come. Some balancers only look
// whether the port is open, over and over.
func levelOf(err error) slog.Level {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// proxied is a connection that comes from elsewhere than it seems.
type proxied struct {
	*net.TCPConn
	from net.Addr
}

// RemoteAddr implements net.Conn.
func (p *proxied) RemoteAddr() net.Addr { return p.from }

// readProxied reads a header, and no byte more, and returns for whom the connection is.
func readProxied(nc *net.TCPConn, timeout time.Duration) (net.Addr, error) {
	if err := nc.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	b := make([]byte, proxyHead, proxyHead+64)
	if _, err := io.ReadFull(nc, b); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b, proxyproto.SIGV2) {
		return nil, errors.New("no header of version 2 of the PROXY protocol")
	}
	rest := int(binary.BigEndian.Uint16(b[proxyHead-2:]))
	if rest > maxProxyRest {
		return nil, fmt.Errorf("header of %d bytes, at most %d allowed", rest, maxProxyRest)
	}
	b = append(b, make([]byte, rest)...)
	if _, err := io.ReadFull(nc, b[proxyHead:]); err != nil {
		return nil, err
	}
	header, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		return nil, err
	}
	if err := nc.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if header.Command.IsLocal() { // the load balancer looks whether we are there
		return nc.RemoteAddr(), nil
	}
	from, ok := header.SourceAddr.(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("header about a connection of another kind than TCP: %v", header.TransportProtocol)
	}
	return from, nil
}
