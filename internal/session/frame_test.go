package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// framed is b behind a length of n.
func framed(n uint32, b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), b...) }

// whole is b as a frame.
func whole(b []byte) []byte { return framed(uint32(len(b)), b) }

// TestBadFrame wants an error of one kind for each, at once, after which an
// Error can still be sent.
func TestBadFrame(t *testing.T) {
	for name, b := range map[string][]byte{
		"a gigabyte":       framed(1<<30, nil),
		"4 GiB":            framed(1<<32-1, nil),
		"a byte too long":  framed(xlreg.MaxRequestFrame+1, nil),
		"empty":            framed(0, nil),
		"not protobuf":     whole([]byte{0xff, 0xff}),
		"no Op":            whole([]byte{0x28, 0}),
		"one byte short":   framed(1, []byte{8, 11}),
		"broken token":     whole([]byte{8, 3, 0x5a, 2, 0xff, 0xff}),
		"too many tokens":  whole(append([]byte{8, 10}, bytes.Repeat([]byte{0xaa, 1, 0}, xlreg.MaxClusterSize+1)...)),
		"a group not shut": whole([]byte{8, 11, 0xc3, 0x3e}),
	} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t, tcp, xlreg.Protocol20)
			if _, err := client.(*conn).out.Write(b); err != nil {
				t.Fatal(err)
			}
			_, err := server.Receive(context.Background())
			if !errors.Is(err, xlreg.ErrProtocol) {
				t.Fatalf("receive: %v", err)
			}
			pass(t, server, client, wire.NewError(err))
			if n := cap(server.(*conn).in.buf); n > chunk {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

// TestFrameTimeout wants a frame that stays incomplete to end at the message timeout,
// in an error after which an Error can still be sent.
func TestFrameTimeout(t *testing.T) {
	for name, b := range map[string][]byte{
		"part of a length": {0},
		"a length alone":   framed(xlreg.MaxRequestFrame, nil),
		"half a frame":     framed(100, make([]byte, 50)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, _, client := bubblePair(t, xlreg.Protocol20)
				go func() { _, _ = client.(*conn).out.Write(b) }()
				start := time.Now()
				_, err := server.Receive(context.Background())
				if !errors.Is(err, ErrPartial) || errors.Is(err, xlreg.ErrProtocol) || time.Since(start) != limits.Message {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				pass(t, server, client, wire.NewError(xlreg.ErrProtocol))
			})
		})
	}
}

// TestFrameSizes sends the longest frame of each direction, and not one byte more.
func TestFrameSizes(t *testing.T) {
	server, client := pair(t, tcp, xlreg.Protocol20)
	for _, tc := range []struct {
		from, to Conn
		most     int
	}{
		{client, server, xlreg.MaxRequestFrame},
		{server, client, xlreg.MaxReplyFrame},
	} {
		if err := tc.from.Send(context.Background(), ofSize(t, tc.most+1)); err == nil {
			t.Fatalf("%d bytes were sent", tc.most+1)
		}
		pass(t, tc.from, tc.to, ofSize(t, tc.most))
		pass(t, tc.from, tc.to, wire.NewAck())
		if n := cap(tc.to.(*conn).in.buf); n > chunk {
			t.Errorf("%d bytes kept after a message of %d", n, tc.most)
		}
	}
}

// TestAnnouncementIsNotBelieved wants memory for a frame as it comes, not as it
// is announced.
func TestAnnouncementIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _, client := bubblePair(t, xlreg.Protocol20)
		go func() { _, _ = server.(*conn).out.Write(framed(xlreg.MaxReplyFrame, make([]byte, 100))) }()
		if _, err := client.Receive(context.Background()); !errors.Is(err, ErrPartial) {
			t.Fatal(err)
		}
		if n := cap(client.(*conn).in.buf); n > chunk {
			t.Errorf("%d bytes allocated for 104", n)
		}
	})
}

// TestLongReply wants a roster of every length around that of a record to travel
// whole, and what it shares with other readers to stay as it is.
func TestLongReply(t *testing.T) {
	server, client := pair(t, tcp, xlreg.Protocol20)
	for size := recordLen - 40; size < recordLen+40; size++ {
		roster := &xlreg.Roster{Cluster: xlreg.Cluster{MaxSize: 64}}
		for i := range 2 {
			roster.Members = append(roster.Members, xlreg.Member{Index: i, Token: xlreg.Token{
				Name: "m", CommsKey: xlreg.CommsKey(bytes.Repeat([]byte{byte(i)}, size/(2-i))),
			}})
		}
		encoded, err := wire.EncodeRoster(roster, xlreg.Protocol20)
		if err != nil {
			t.Fatal(err)
		}
		m := encoded.Message(xlreg.AllSeats(), xlreg.MaxReplyFrame)
		want, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		sent := send(server, m)
		got, err := client.Receive(context.Background())
		if err := errors.Join(err, <-sent); err != nil {
			t.Fatal(err)
		}
		if b, err := got.Append(nil); err != nil || !bytes.Equal(b, want) {
			t.Fatalf("%d bytes arrived as others: %v", len(want), err)
		}
		if again, _ := m.Append(nil); !bytes.Equal(again, want) {
			t.Fatal("sending changed the message")
		}
	}
}
