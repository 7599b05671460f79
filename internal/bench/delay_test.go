package bench_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// delayed returns an address that leads to another one, with every byte on its way for
// so long in each direction, until the test ends.
func delayed(tb testing.TB, to string, delay time.Duration) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var relaying sync.WaitGroup
	relaying.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			relaying.Go(func() { relay(ctx, conn, to, delay) })
		}
	})
	tb.Cleanup(func() {
		stop()
		l.Close()
		relaying.Wait()
	})
	return l.Addr().String()
}

// relay carries one connection until either side closes it.
func relay(ctx context.Context, from net.Conn, addr string, delay time.Duration) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	to, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		from.Close()
		return
	}
	closeBoth := func() {
		from.Close()
		to.Close()
	}
	context.AfterFunc(ctx, closeBoth)
	var carrying sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		parts := make(chan part, 1024)
		carrying.Go(func() {
			defer close(parts)
			readParts(ctx, way[0], parts)
		})
		carrying.Go(func() {
			defer closeBoth()
			writeParts(ctx, way[1], parts, delay)
		})
	}
	carrying.Wait()
}

// part is what was read at once.
type part struct {
	at   time.Time
	data []byte
}

func readParts(ctx context.Context, from io.Reader, parts chan<- part) {
	for {
		data := make([]byte, 16<<10)
		n, err := from.Read(data)
		if n > 0 {
			select {
			case parts <- part{time.Now(), data[:n]}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// writeParts writes each part when its time has come. Parts that come after an error are
// dropped, so that nobody waits to hand one over.
func writeParts(ctx context.Context, to io.Writer, parts <-chan part, delay time.Duration) {
	var failed error
	for p := range parts {
		if failed == nil {
			select {
			case <-time.After(time.Until(p.at.Add(delay))):
			case <-ctx.Done():
			}
			_, failed = to.Write(p.data)
		}
	}
}

// What goes there and back takes at least twice the delay, and comes in order.
func TestDelayed(t *testing.T) {
	const delay = 20 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var echoing sync.WaitGroup
	echoing.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, conn)
	})
	conn, err := net.Dial("tcp", delayed(t, l.Addr().String(), delay))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	const sent = "0123456789"
	for i := range sent {
		if _, err := conn.Write([]byte(sent[i : i+1])); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != sent {
		t.Fatalf("%q, %v", got, err)
	}
	if took := time.Since(begun); took < 2*delay {
		t.Errorf("there and back in %v", took)
	}
	conn.Close()
	echoing.Wait()
}
