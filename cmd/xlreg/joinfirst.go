package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// awaitFirst waits until member 0 takes connections. If this is member 0, it lets go of its
// ports instead: whoever asks is to reach its program, and not this one.
func (g *globals) awaitFirst(ctx context.Context, j *joined, l *joinLaunch) error {
	first := j.member.Roster().ByIndex(0)
	if first == nil || j.member.Self().Index == 0 {
		if l.program.pass {
			return nil // the ports are the program's already
		}
		return j.ports.Release()
	}
	ctx, cancel := context.WithTimeout(ctx, l.wait)
	defer cancel()
	what := fmt.Sprintf("%s to take connections at %s", first.Token.Name, first.Token.Endpoints[0])
	p := g.newProgress(ctx, what)
	defer p.end()
	for {
		err := takesConnections(ctx, string(first.Token.Endpoints[0]))
		if err == nil {
			return nil
		}
		if pause(ctx, lookAgain) != nil {
			return afterWait(fmt.Errorf("wait for %s: %w (%w)", what, ctx.Err(), err))
		}
	}
}

const (
	oneDial = 5 * time.Second
	steady  = 500 * time.Millisecond // a connection that lasts so long was taken by a program
)

// errLetGo says that a connection was not taken by anybody.
var errLetGo = errors.New("the port was held for its program")

// takesConnections reports whether a program takes connections at an address. One that
// reaches a port while it is only held for its program is reset when the port is let go.
func takesConnections(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: oneDial}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(steady)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if errors.Is(err, syscall.ECONNRESET) {
		return errLetGo
	}
	return nil
}
