package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

// The limits of a registry are those that its flags say, for each address and for
// all together. Who is refused over 2.0 is told so, and when to come back; and
// comes in when there is room.
func TestConnectionLimits(t *testing.T) {
	const most = 8
	for _, c := range []struct {
		flag     string
		others   bool // whether the limit is for those from another address too
		refusing string
	}{
		{"--max-connections-loopback", false, attackers},
		{"--max-connections", true, ownAddress},
	} {
		t.Run(c.flag, func(t *testing.T) {
			s := newSiege(t, c.flag, fmt.Sprint(most), "--hello-timeout", "1m")
			held := s.hold(attackers, most)
			err := s.register(0, c.refusing)
			if !errors.Is(err, xlreg.ErrTooManyRequests) || xlreg.RetryAfter(err) <= 0 {
				t.Errorf("past the limit: %v, retry after %v", err, xlreg.RetryAfter(err))
			}
			if err := s.register(0, ownAddress); (err != nil) != c.others {
				t.Errorf("from an address that holds nothing: %v", err)
			}
			for _, nc := range held {
				nc.Close()
			}
			if err := s.comesIn(c.refusing); err != nil {
				t.Errorf("when there is room: %v", err)
			}
		})
	}
}

// hold opens connections that say nothing. The registry takes them in order, and
// so before those that follow.
func (s *siege) hold(from string, n int) []net.Conn {
	s.t.Helper()
	d := newDialer(&orders{From: from, To: s.registry.Listen()})
	held := make([]net.Conn, n)
	for i := range held {
		nc, err := d.dial()
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { nc.Close() })
		held[i] = nc
	}
	return held
}

// register registers a member from an address, with one attempt.
func (s *siege) register(member int, from string) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, s.target, client.Options{Node: s.members[member], Dialer: dialerFrom(from)})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Register(ctx)
	return err
}

// comesIn registers as soon as it may, as a client does that has been told when to
// come back.
func (s *siege) comesIn(from string) error {
	end := time.Now().Add(patience)
	for {
		err := s.register(0, from)
		if err == nil || time.Now().After(end) || xlreg.RetryAfter(err) == 0 {
			return err
		}
		<-time.After(xlreg.RetryAfter(err))
	}
}

func dialerFrom(from string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Control: lateBind}
}

// New nodes are limited for each address, and whoever is refused is told when to
// come back. Who is known already may come as often as it likes.
func TestNewNodeLimits(t *testing.T) {
	const most = 5
	s := newSiege(t, "--new-per-minute-loopback", fmt.Sprint(most))
	for i := range most {
		if err := s.register(i, attackers); err != nil {
			t.Fatal(err)
		}
	}
	err := s.register(most, attackers)
	if retry := xlreg.RetryAfter(err); !errors.Is(err, xlreg.ErrTooManyRequests) || retry <= 0 || retry > time.Minute {
		t.Errorf("one node too many: %v, retry after %v", err, retry)
	}
	if err := s.register(0, attackers); err != nil {
		t.Errorf("a node that is known: %v", err)
	}
	if err := s.register(most, ownAddress); err != nil {
		t.Errorf("from another address: %v", err)
	}
}
