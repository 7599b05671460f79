package client

import (
	"net"
	"time"
)

// keepAlive has the system find out that a registry is gone without a word, after
// silence at most. A waiting request finds out as well, but only when the registry
// should have answered; and a system that tells of a machine that is back, and knows
// nothing of the connection, does so in half the time. A connection that is not TCP, or
// of which the system does not take this, does without.
func keepAlive(nc net.Conn, silence time.Duration) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: atLeastSecond(silence / 2), Interval: atLeastSecond(silence / 6), Count: 3,
	})
	setUserTimeout(tcp, silence)
}

// atLeastSecond returns d as systems take it, which count in seconds.
func atLeastSecond(d time.Duration) time.Duration { return max(d.Round(time.Second), time.Second) }
