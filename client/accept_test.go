package client_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/xlregtest"
)

// listenOn accepts members on l until the test ends.
func (m *tlsMember) listenOn(t testing.TB, l net.Listener) net.Listener {
	t.Helper()
	l = must[net.Listener](t)(m.Listen(l))
	t.Cleanup(func() { l.Close() })
	return l
}

// acceptMember returns the next connection, which ends with the test.
func acceptMember(t testing.TB, l net.Listener) *client.Conn {
	t.Helper()
	c := must[net.Conn](t)(l.Accept()).(*client.Conn)
	t.Cleanup(func() { c.Close() })
	return c
}

// Peers that say nothing, or nonsense, keep no member waiting, however many.
func TestListenBesideSilentPeers(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
	l := members[0].listenOn(t, members[0].port)
	for i := range client.MostArrivals + 50 {
		silent := must[net.Conn](t)(net.Dial("tcp", l.Addr().String()))
		defer silent.Close()
		if i%2 == 0 {
			fmt.Fprint(silent, "GET / HTTP/1.1\r\n\r\n")
		}
	}
	c := must[*client.Conn](t)(members[1].Dial(t.Context(), "a"))
	defer c.Close()
	if got := acceptMember(t, l).Member().Token.Name; got != "b" {
		t.Errorf("accepted %q", got)
	}
}

// What Accept has not taken goes with the listener, what it has stays.
func TestListenerCloses(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(l, beneath net.Listener) error{
		"closed":         func(l, _ net.Listener) error { return l.Close() },
		"closed beneath": func(_, beneath net.Listener) error { return beneath.Close() },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
			l := members[0].listenOn(t, members[0].port)
			silent := must[net.Conn](t)(net.Dial("tcp", l.Addr().String()))
			defer silent.Close()
			taken := must[*client.Conn](t)(members[1].Dial(t.Context(), "a"))
			defer taken.Close()
			accepted := acceptMember(t, l)
			waiting := must[*client.Conn](t)(members[1].Dial(t.Context(), "a"))
			defer waiting.Close()

			if err := end(l, members[0].port); err != nil {
				t.Fatal(err)
			}
			for what, c := range map[string]net.Conn{"silent": silent, "waiting": waiting} {
				if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: got %v", what, err)
				}
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: got %v", err)
			}
			var talk sync.WaitGroup
			talk.Go(func() { fmt.Fprint(taken, "!") })
			if _, err := io.ReadFull(accepted, make([]byte, 1)); err != nil {
				t.Errorf("the connection that was accepted: %v", err)
			}
			talk.Wait()
			first := l.Close()
			if again := l.Close(); !errors.Is(again, first) {
				t.Errorf("closed again: %v, then %v", first, again)
			}
		})
	}
}

// pipes is a listener whose connections and errors come from a test.
type pipes struct {
	net.Listener // panics
	next         chan pipe
	closed       chan struct{}
	end          error // what Accept says after Close
}

type pipe struct {
	conn net.Conn
	err  error
}

func newPipes() *pipes {
	return &pipes{next: make(chan pipe), closed: make(chan struct{}), end: net.ErrClosed}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case got := <-p.next:
		return got.conn, got.err
	case <-p.closed:
		return nil, p.end
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

// dial returns the far end of a connection that is accepted, and a channel that is
// closed when its near end is.
func (p *pipes) dial() (far net.Conn, over chan struct{}) {
	near, far := net.Pipe()
	p.next <- pipe{conn: near}
	over = make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, far)
	}()
	return far, over
}

func isOver(over chan struct{}) bool {
	synctest.Wait()
	select {
	case <-over:
		return true
	default:
		return false
	}
}

func TestListenGivesPeersTenSeconds(t *testing.T) {
	a := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")[0]
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a.listenOn(t, p)
		_, silent := p.dial()
		slow, slowOver := p.dial()
		<-time.After(9 * time.Second)
		_, err := slow.Write([]byte{22}) // the first byte of a handshake buys no time
		if err != nil || isOver(silent) || isOver(slowOver) {
			t.Fatal("over after nine seconds")
		}
		<-time.After(time.Second)
		if !isOver(silent) || !isOver(slowOver) {
			t.Error("not over after ten seconds")
		}
	})
}

func TestListenClosesWhomItRefuses(t *testing.T) {
	a := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")[0]
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a.listenOn(t, p)
		far, over := p.dial()
		fmt.Fprint(far, "GET / HTTP/1.1\r\n\r\n")
		if !isOver(over) {
			t.Error("still open")
		}
	})
}

// A member whose connection nobody has taken learns that nobody will.
func TestListenerClosesWhatWaits(t *testing.T) {
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		for _, m := range members {
			m.clock.forward(time.Until(now))
		}
		p := newPipes()
		l := members[0].listenOn(t, p)
		near, far := net.Pipe()
		p.next <- pipe{conn: near}
		b := tls.Client(far, members[1].config(t))
		if err := b.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := far.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // now all is done but Accept
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
}

// Who came first has had the most time to say something.
func TestListenMakesRoom(t *testing.T) {
	a := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")[0]
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a.listenOn(t, p)
		var all []chan struct{}
		for range client.MostArrivals {
			_, over := p.dial()
			all = append(all, over)
		}
		if isOver(all[0]) {
			t.Fatal("there was room")
		}
		left, leftOver := p.dial()
		if !isOver(all[0]) || isOver(all[1]) {
			t.Fatal("not the first had to go")
		}
		left.Close() // which makes room as well
		<-leftOver
		synctest.Wait()
		p.dial()
		if isOver(all[1]) {
			t.Error("one had to go though there was room")
		}
	})
}

// The caller of Accept sees errors that pass, as it would without TLS.
func TestListenPassesErrorsOn(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
	p := newPipes()
	p.end = errors.New("closed") // which does not say so in the usual way
	l := members[0].listenOn(t, p)
	for range 3 {
		p.next <- pipe{err: syscall.EMFILE}
		if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("got %v", err)
		}
	}
	near, far := tcpPair(t)
	p.next <- pipe{conn: far}
	b := tls.Client(near, members[1].config(t))
	defer b.Close()
	if err := b.Handshake(); err != nil {
		t.Fatal(err)
	}
	if got := acceptMember(t, l).Member().Token.Name; got != "b" {
		t.Errorf("accepted %q", got)
	}
}
