// Package partition parts registries from their clients, on networks of its own: with
// routers that drop everything, machines that lose their power, and addresses that move.
//
// The networks are namespaces of Linux, which takes root. The short form is part of go
// test; XLREG_LONG=1 goes through everything with the times that clients and registries
// have by default, in about ten minutes.
package partition
