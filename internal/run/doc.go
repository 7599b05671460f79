// Package run starts programs and looks after them until they, and all that they
// have started, are gone. It knows nothing of a registry: what a program is told is
// its caller's affair.
//
// Each program runs under a shim, a process that is the calling program itself,
// called in another way. The end of a pipe is the shim's order to stop, so nothing
// is left behind whatever ends first, even by SIGKILL. Programs run on Unix only.
package run
