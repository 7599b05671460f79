//go:build !unix

package etcdtest

import "syscall"

// No process can be paused here, and sending these fails.
const (
	sigPause  = syscall.Signal(-1)
	sigResume = syscall.Signal(-2)
)
