package host

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// A door that is shut and opened over and over, while clients come, turns them all away in
// the end: what has ended one turn does not reach into the next.
func TestDoorAgainAndAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &door{held: []held{{l.(*net.TCPListener)}}}
	for range 2000 {
		open := d.turnAway()
		client, err := net.Dial("tcp", l.Addr().String())
		open()
		if err != nil {
			continue // turned away before we knew that it was open
		}
		last := d.turnAway()
		if err := read(client); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("not turned away: %v", err)
		}
		last()
	}
}

// read waits for what the other end says, a minute at most.
func read(nc net.Conn) error {
	defer nc.Close()
	if err := nc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	_, err := nc.Read(make([]byte, 1))
	return err
}
