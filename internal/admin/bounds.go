package admin

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Bounds are how much strangers may have of a Server at most, so that the registry beside
// it and those who run it are served whatever others do. A zero field has its default.
// None of them is for the socket.
type Bounds struct {
	Connections           int // open at once
	ConnectionsPerAddress int // of them from one IPv4 address or IPv6 /64
	ConnectionsPerMinute  int // new ones from one address
	ConnectionsLoopback   int // the same for each loopback address, open at once
	LoopbackPerMinute     int // and new ones
	Handshakes            int // that are computed at once
	Failures              int // times in a minute that one address may show what is no good
	Requests              int // that are answered at once
	Streams               int // streams and requests that wait
	Reserve               int // further requests, and streams, of those who may change something
}

func (b Bounds) withDefaults() Bounds {
	return Bounds{
		Connections:           cmp.Or(b.Connections, 512),
		ConnectionsPerAddress: cmp.Or(b.ConnectionsPerAddress, 64),
		ConnectionsPerMinute:  cmp.Or(b.ConnectionsPerMinute, 600),
		ConnectionsLoopback:   cmp.Or(b.ConnectionsLoopback, 384),
		LoopbackPerMinute:     cmp.Or(b.LoopbackPerMinute, 12_000),
		Handshakes:            cmp.Or(b.Handshakes, 1),
		Failures:              cmp.Or(b.Failures, 60),
		Requests:              cmp.Or(b.Requests, 8),
		Streams:               cmp.Or(b.Streams, 256),
		Reserve:               cmp.Or(b.Reserve, 32),
	}
}

// roomWait is how long a request waits for room.
const roomWait = time.Second

// errFull says that too much is under way.
var errFull = errors.New("too much is under way")

// room is for so many requests at once. Those of admins have a part of it to themselves,
// and the rest with all others.
type room struct {
	all     chan struct{}
	reserve chan struct{}
}

func newRoom(all, reserve int) *room {
	return &room{make(chan struct{}, all), make(chan struct{}, reserve)}
}

// enter waits for room, for a moment, and returns what gives it back.
func (r *room) enter(ctx context.Context, admin bool) (leave func(), err error) {
	reserve := r.reserve
	if !admin {
		reserve = nil // which never has any
	}
	timer := time.NewTimer(roomWait)
	defer timer.Stop()
	select {
	case r.all <- struct{}{}:
		return func() { <-r.all }, nil
	case reserve <- struct{}{}:
		return func() { <-reserve }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, errFull
	}
}
