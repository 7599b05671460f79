//go:build !linux

package host

import (
	"context"
	"net"
)

// listenTCP opens a port.
func listenTCP(addr string) (net.Listener, error) {
	cfg := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepIdle, Interval: keepInterval, Count: keepCount,
	}}
	return cfg.Listen(context.Background(), "tcp", addr)
}

// adopt leaves a listening socket that somebody else has opened as it is.
func adopt(*net.TCPListener) error { return nil }
