package session

import (
	"bytes"
	"context"
	"crypto/aes"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// trickle writes b to nc in pieces of n bytes, with a pause before each but the first,
// until all is written or the other end is closed.
func trickle(nc net.Conn, b []byte, n int, pause time.Duration) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for piece := range slices.Chunk(b, n) {
			if _, err := nc.Write(piece); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}()
	return done
}

// encodedBy returns what travels of m, whatever the carrier.
func encodedBy(t *testing.T, c Conn, n *tapped, m *wire.Message) []byte {
	t.Helper()
	n.tap = new(bytes.Buffer)
	defer func() { n.tap = nil }()
	if err := c.Send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	if err := n.SetWriteDeadline(time.Time{}); err != nil { // Send's
		t.Fatal(err)
	}
	return n.tap.Bytes()
}

// tapped is a connection whose writes can be kept back.
type tapped struct {
	net.Conn
	tap *bytes.Buffer // where writes go instead; nil if they pass
}

func (n *tapped) Write(b []byte) (int, error) {
	if n.tap != nil {
		return n.tap.Write(b)
	}
	return n.Conn.Write(b)
}

// isLate reports whether err says that a message was not complete in time. Over TLS not
// even a record of it was, and that is nothing to answer.
func isLate(err error, p xlreg.Protocol) bool {
	return errors.Is(err, ErrPartial) == p.Classic() && errors.Is(err, os.ErrDeadlineExceeded) != p.Classic()
}

// slowPair is a session over a pipe whose client's bytes can be kept back.
func slowPair(t *testing.T, p xlreg.Protocol) (server, client Conn, raw *tapped) {
	t.Helper()
	raw = new(tapped)
	server, client = pair(t, func(t testing.TB) (net.Conn, net.Conn) {
		s, c := pipe(t)
		raw.Conn = c
		return s, raw
	}, p)
	return server, client, raw
}

// TestSlowLine lets a message come at a fraction more than the slowest rate: it is taken,
// though it takes many times the message timeout. With pauses of the timeout it is not.
func TestSlowLine(t *testing.T) {
	commsKey()
	each(t, func(t *testing.T, p xlreg.Protocol) {
		for name, tt := range map[string]struct {
			pause time.Duration
			ok    bool
		}{
			"slow":      {9 * time.Second, true},
			"too slow":  {limits.Message + time.Second, false},
			"in no way": {time.Hour, false},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server, client, raw := slowPair(t, p)
					m := ofSize(t, 12<<10)
					b := encodedBy(t, client, raw, m)
					start := time.Now()
					done := trickle(raw.Conn, b, 9*slowest+64, tt.pause)
					got, err := server.Receive(t.Context())
					took := time.Since(start)
					if tt.ok && (err != nil || text(t, got) != text(t, m) || took < 10*limits.Message) {
						t.Errorf("%v after %v", err, took)
					}
					if !tt.ok && (!isLate(err, p) || took != limits.Message) {
						t.Errorf("%v after %v", err, took)
					}
					server.Close()
					<-done
				})
			})
		}
	})
}

// TestTheWholeIsBounded sends a message that goes on and on at half the slowest rate, and
// never pauses for long.
func TestTheWholeIsBounded(t *testing.T) {
	commsKey()
	each(t, func(t *testing.T, p xlreg.Protocol) {
		synctest.Test(t, func(t *testing.T) {
			server, client, raw := slowPair(t, p)
			b := encodedBy(t, client, raw, ofSize(t, 12<<10))
			start := time.Now()
			done := trickle(raw.Conn, b, slowest/2, time.Second)
			_, err := server.Receive(t.Context())
			if took := time.Since(start); !isLate(err, p) || took < limits.Message || took > 3*limits.Message {
				t.Errorf("%v after %v", err, took)
			}
			server.Close()
			<-done
		})
	})
}

// TestHopelessSlowly wants the end of what is no message to come at a time that depends
// on when its bytes came, not on what they decrypt to: bad padding, padding that is right
// around nonsense, and the honest half of a message look the same.
func TestHopelessSlowly(t *testing.T) {
	commsKey()
	const size = 40 * aes.BlockSize
	texts := map[string][]byte{
		"zeros":         make([]byte, size),
		"padded":        pad(make([]byte, size-aes.BlockSize), aes.BlockSize, aes.BlockSize),
		"padded bytes":  bytes.Repeat([]byte{1}, size),
		"wrong padding": append(make([]byte, size-2), 3, 2),
		"half":          []byte(text(t, ofSize(t, 2*size)))[:size],
	}
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
		took := make(map[string]time.Duration)
		for name, text := range texts {
			synctest.Test(t, func(t *testing.T) {
				server, raw, client := bubblePair(t, p)
				b := forge(t, client, text)
				start := time.Now()
				done := trickle(raw, b, size/2+aes.BlockSize, 7*time.Second)
				_, err := server.Receive(t.Context())
				took[name] = time.Since(start)
				noKind(t, err)
				server.Close()
				<-done
			})
		}
		for name, d := range took {
			if d != took["half"] || d != 7*time.Second+limits.Message {
				t.Errorf("%v: %s ends after %v, half a message after %v", p, name, d, took["half"])
			}
		}
	}
}

// TestSlowReader wants a peer that takes a message slowly to be written to until it has
// all of it, and one that stops to be given up.
func TestSlowReader(t *testing.T) {
	commsKey()
	each(t, func(t *testing.T, p xlreg.Protocol) {
		for name, pause := range map[string]time.Duration{"slow": 9 * time.Second, "stopped": time.Hour} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server, raw, _ := bubblePair(t, p)
					done := make(chan struct{})
					go func() {
						defer close(done)
						b := make([]byte, 700)
						for {
							if _, err := raw.Read(b); err != nil {
								return
							}
							time.Sleep(pause)
						}
					}()
					start := time.Now()
					err := server.Send(t.Context(), ofSize(t, 14<<10))
					took := time.Since(start)
					if slow := pause < limits.Write; slow != (err == nil) || slow && took < 10*limits.Write {
						t.Errorf("%v after %v", err, took)
					}
					if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || took > 2*limits.Write) {
						t.Errorf("%v after %v", err, took)
					}
					server.Close()
					<-done
				})
			})
		}
	})
}

// TestSlowHandshake lets the registry's answer to a hello take longer than the hello may,
// and a hello not.
func TestSlowHandshake(t *testing.T) {
	commsKey()
	const hello = 10 * time.Second
	for name, tt := range map[string]struct {
		at   int // the write of the client that is late
		late time.Duration
		ok   bool
	}{
		"the rest is late":     {1, 25 * time.Second, true},
		"the rest is too late": {1, 31 * time.Second, false},
		"the hello is late":    {0, 11 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sn, cn := pipe(t)
				s, err := NewServer(serverConfig(t))
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					_, err := s.AcceptWithin(t.Context(), sn, hello)
					done <- err
				}()
				cfg := clientConfig(xlreg.Protocol20)
				cfg.Limits.Message = time.Hour
				client, err := Connect(t.Context(), &lateWriter{Conn: cn, at: tt.at, late: tt.late}, cfg)
				if accepted := <-done; tt.ok != (accepted == nil) {
					t.Errorf("accepted: %v, connected: %v", accepted, err)
				}
				if client != nil {
					client.Close()
				}
			})
		})
	}
}

// lateWriter makes one of its writes late.
type lateWriter struct {
	net.Conn
	at   int
	late time.Duration
}

func (w *lateWriter) Write(b []byte) (int, error) {
	if w.at == 0 {
		time.Sleep(w.late)
	}
	w.at--
	return w.Conn.Write(b)
}
