package session

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// inBubble runs f in a synctest bubble over each carrier, with a session over a
// pipe.
func inBubble(t *testing.T, f func(t *testing.T, server, client Conn)) {
	commsKey()
	each(t, func(t *testing.T, p xlreg.Protocol) {
		synctest.Test(t, func(t *testing.T) {
			server, _, client := bubblePair(t, p)
			f(t, server, client)
		})
	})
}

// after returns a context that ends d from now.
func after(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestIdle(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		time.Sleep(time.Hour) // nobody waits: nobody is idle
		pass(t, client, server, wire.NewBye())
		start := time.Now()
		_, err := server.Receive(context.Background())
		if !errors.Is(err, ErrIdle) || time.Since(start) != limits.Idle {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestSlowMessage wants the second half of a message to have the message's time,
// though it comes when the idle timeout would have passed.
func TestSlowMessage(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		sc, cc := serverConfig(t), clientConfig(p)
		sc.Limits = Limits{Message: time.Hour, Idle: time.Minute}
		synctest.Test(t, func(t *testing.T) {
			sc.Authority, _ = NewAuthority(private(sigKey()), nil)
			server, client := pairWith(t, pipe, sc, cc)
			m := member("m0")
			b, _, err := client.(*conn).codec.encode(m)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for _, piece := range pieces(b, 3, 100) {
					_, _ = client.(*conn).out.Write(piece)
					time.Sleep(10 * time.Minute)
				}
			}()
			got, err := server.Receive(context.Background())
			if err != nil || text(t, got) != text(t, m) {
				t.Errorf("receive: %v", err)
			}
			time.Sleep(time.Hour) // for the writer to end
		})
	})
}

func TestWriteTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, server, _ Conn) {
		start := time.Now()
		err := server.Send(context.Background(), wire.NewAck())
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != limits.Write {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestContextEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		start := time.Now()
		if _, err := server.Receive(after(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("receive: %v", err)
		}
		if err := client.Send(after(t, time.Second), wire.NewBye()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("send: %v", err)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("after %v", got)
		}
	})
}

// TestContextEndsInMessage ends the context when the message's own deadline has
// replaced the idle one.
func TestContextEndsInMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		go func() { _, _ = client.(*conn).out.Write([]byte{0}) }()
		start := time.Now()
		if _, err := server.Receive(after(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("receive: %v", err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("after %v", got)
		}
	})
}

// TestContextEndsLater ends contexts after the calls they were given to.
func TestContextEndsLater(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			sent := make(chan error, 1)
			go func() { sent <- client.Send(ctx, wire.NewBye()) }()
			if _, err := server.Receive(ctx); err != nil {
				t.Fatal(err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			cancel()
		}
	})
}

// TestClockCalls is about the end of a context that comes too late, and about
// what sets a deadline after it came.
func TestClockCalls(t *testing.T) {
	var set []time.Time
	c := clock{set: func(at time.Time) error { set = append(set, at); return nil }}
	c.follow(t.Context())
	late := c.call
	c.follow(t.Context())
	c.halt(late)
	if len(set) != 0 {
		t.Error("a call was halted by the one before")
	}
	c.halt(c.call)
	c.within(time.Hour)
	if !slices.Equal(set, []time.Time{longAgo}) {
		t.Errorf("deadlines %v, want only one long ago", set)
	}
	c.follow(t.Context())
	c.within(0)
	if len(set) != 2 || !set[1].IsZero() {
		t.Errorf("deadlines %v, want none at last", set)
	}
	c.within(0)
	if len(set) != 2 {
		t.Error("set the same twice")
	}
}

// TestCloseEnds has Close end whatever is under way.
func TestCloseEnds(t *testing.T) {
	ops := map[string]func(c Conn) error{
		"receive": func(c Conn) error { _, err := c.Receive(context.Background()); return err },
		"send":    func(c Conn) error { return c.Send(context.Background(), wire.NewAck()) },
		"hold":    func(c Conn) error { return c.Hold(context.Background()) },
	}
	for name, op := range ops {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, server, _ Conn) {
				done := make(chan error, 1)
				go func() { done <- op(server) }()
				synctest.Wait()
				server.Close()
				if err := <-done; err == nil {
					t.Error("no error")
				}
			})
		})
	}
}

// TestCloseFromMany is for the race detector.
func TestCloseFromMany(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		server, client := pair(t, tcp, p)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { server.Close() })
		}
		_, _ = server.Receive(context.Background())
		all.Wait()
		if _, err := client.Receive(context.Background()); err == nil {
			t.Error("client sees no close")
		}
	})
}

func TestHold(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		for range 3 {
			start := time.Now()
			if err := server.Hold(after(t, time.Hour)); err != nil || time.Since(start) != time.Hour {
				t.Fatalf("hold: %v after %v", err, time.Since(start))
			}
			pass(t, server, client, wire.NewAck())
			pass(t, client, server, wire.NewBye())
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := server.Hold(ended); err != nil {
			t.Errorf("hold under a context that has ended: %v", err)
		}
		start := time.Now()
		if _, err := server.Receive(context.Background()); !errors.Is(err, ErrIdle) || time.Since(start) != limits.Idle {
			t.Errorf("after hold: %v after %v", err, time.Since(start))
		}
	})
}

func TestHoldSeesClose(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		time.AfterFunc(time.Minute, func() { client.Close() })
		start := time.Now()
		if err := server.Hold(after(t, time.Hour)); !errors.Is(err, ErrClosed) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestHoldKeeps interrupts a hold at every point of two messages, and wants
// both.
func TestHoldKeeps(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		for n := 0; n < 90; n += 7 {
			messages := []*wire.Message{wire.NewBye(), wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: "demo"}})}
			var b []byte
			for _, m := range messages {
				more, _, err := client.(*conn).codec.encode(m)
				if err != nil {
					t.Fatal(err)
				}
				b = append(b, more...)
			}
			n := min(n, len(b)-1)
			written := make(chan struct{})
			go func() {
				defer close(written)
				_, _ = client.(*conn).out.Write(b[:n])
				time.Sleep(2 * time.Second)
				_, _ = client.(*conn).out.Write(b[n:])
			}()
			if err := server.Hold(after(t, time.Second)); err != nil {
				t.Fatal(err)
			}
			for _, want := range messages {
				got, err := server.Receive(context.Background())
				if err != nil || text(t, got) != text(t, want) {
					t.Fatalf("cut at %d: %v", n, err)
				}
			}
			<-written
		}
	})
}

// gate is a client's connection that lets pass a given number of bytes, and the
// rest of what was written when it is opened.
type gate struct {
	net.Conn
	room int // negative: open
	kept []byte
}

func (g *gate) Write(b []byte) (int, error) {
	if g.room < 0 {
		return g.Conn.Write(b)
	}
	n := min(len(b), g.room)
	g.room -= n
	g.kept = append(g.kept, b[n:]...)
	if n == 0 {
		return len(b), nil
	}
	_, err := g.Conn.Write(b[:n])
	return len(b), err
}

// open lets pass what was kept.
func (g *gate) open() {
	g.room = -1
	_, _ = g.Conn.Write(g.kept)
	g.kept = nil
}

// TestHoldInRecord interrupts a hold within a TLS record, at every place.
func TestHoldInRecord(t *testing.T) {
	commsKey()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{room: -1}
		n := func(t testing.TB) (net.Conn, net.Conn) {
			s, c := pipe(t)
			g.Conn = c
			return s, g
		}
		server, client := pair(t, n, xlreg.Protocol20)
		for room := range 30 {
			g.room = room
			sent := make(chan error, 1)
			go func() {
				err := client.Send(context.Background(), wire.NewBye())
				time.Sleep(2 * time.Second)
				g.open()
				sent <- err
			}()
			if err := server.Hold(after(t, time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Receive(context.Background()); err != nil {
				t.Fatalf("record cut at %d: %v", room, err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			pass(t, server, client, wire.NewAck())
		}
	})
}

// TestHoldFull sends more than a hold keeps.
func TestHoldFull(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		const messages = 6
		big := ofSize(t, MaxClassicText(xlreg.Protocol19))
		sent := make(chan error, 1)
		go func() {
			var err error
			for range messages {
				ctx := context.Background()
				client.(*conn).limits.Write = 0
				err = errors.Join(err, client.Send(ctx, big))
			}
			sent <- err
		}()
		start := time.Now()
		if err := server.Hold(after(t, time.Hour)); err != nil || time.Since(start) != time.Hour {
			t.Fatalf("hold: %v after %v", err, time.Since(start))
		}
		if n := server.(*conn).in.len(); n != ahead {
			t.Errorf("%d bytes kept", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		if err := server.Hold(ctx); err != nil {
			t.Errorf("second hold: %v", err)
		}
		for i := range messages {
			if _, err := server.Receive(context.Background()); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestCloseEndsFullHold has Close end a hold that only waits.
func TestCloseEndsFullHold(t *testing.T) {
	inBubble(t, func(t *testing.T, server, client Conn) {
		sent := make(chan error, 1)
		go func() {
			for {
				if err := client.Send(context.Background(), member("m0")); err != nil {
					sent <- err
					return
				}
			}
		}()
		done := make(chan error, 1)
		go func() { done <- server.Hold(context.Background()) }()
		synctest.Wait()
		server.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("hold: %v", err)
		}
		if err := <-sent; err == nil {
			t.Error("client could send for ever")
		}
	})
}

// TestHoldOverTCP interrupts and goes on with real deadlines.
func TestHoldOverTCP(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		server, client := pair(t, tcp, p)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			held := make(chan error, 1)
			go func() { held <- server.Hold(ctx) }()
			if err := client.Send(t.Context(), wire.NewBye()); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-held; err != nil {
				t.Fatal(err)
			}
			if _, err := server.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			pass(t, server, client, wire.NewAck())
		}
		client.Close()
		if err := server.Hold(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("hold after close: %v", err)
		}
	})
}
