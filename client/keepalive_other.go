//go:build !linux

package client

import (
	"net"
	"time"
)

// setUserTimeout is for systems that have no such bound.
func setUserTimeout(*net.TCPConn, time.Duration) {}
