//go:build !linux

package host

import "net"

// listenTCP opens a port.
func listenTCP(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
