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
