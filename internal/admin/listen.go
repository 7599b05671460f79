package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
)

// maxPath is how long the name of a socket may be on every system.
const maxPath = 103

// ErrPathTooLong says that no socket can have this name.
var ErrPathTooLong = errors.New("the path is too long for a socket")

// ErrPlain says that whoever is between could read tokens and change what is answered.
var ErrPlain = errors.New("without TLS only a loopback address can be served")

// Listen opens the socket at path, for this user alone, in place of one that a dead
// process has left. The caller has to hold the lock on the directory.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s: %w, it has %d bytes of at most %d", path, ErrPathTooLong, len(path), maxPath)
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSocket != 0 {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Listener is an open TCP port, for Server.Serve.
type Listener struct {
	net.Listener
	cert *Certificate // nil: without TLS
}

// ListenTCP opens a TCP port. Without a certificate it has to be a loopback address.
func ListenTCP(ctx context.Context, addr string, cert *Certificate) (*Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	on, err := NewListener(l, cert)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return on, nil
}

// NewListener returns a Listener on a TCP port that is open already, under the rules of
// ListenTCP. The port stays the caller's if that fails.
func NewListener(l net.Listener, cert *Certificate) (*Listener, error) {
	if cert == nil && !addrOf(l.Addr()).IsLoopback() {
		return nil, fmt.Errorf("listen on %v: %w", l.Addr(), ErrPlain)
	}
	return &Listener{l, cert}, nil
}

// URL returns where the listener is found, on this machine if it listens on all addresses.
func (l *Listener) URL() string {
	at := l.Addr().String()
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		// No browser can open the address that stands for all of them.
		at = net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	if l.cert == nil {
		return "http://" + at
	}
	return "https://" + at
}

// addrOf returns the IP address in addr, or the zero Addr if there is none.
func addrOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}
