// Package shim is the process between a supervisor and one program: it starts that, in a
// process group of its own, tells the supervisor how it ends, and returns when everything
// that it has started is gone. If the supervisor dies it stops the program.
//
// There is a shim for each program. It is the calling program itself, called in another way,
// and should start without all that this needs otherwise: see cmd/xlreg/internal/early. So
// this package imports little.
package shim
