package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/time/rate"
)

// How many refusals are logged: some at once, and then so many a second. A flood of
// them must not fill the disk that the registry keeps its data on.
const (
	refusalsAtOnce    = 100
	refusalsPerSecond = 1
)

// refusalLog says in the log who was refused, and why. Deployed clients do not show
// the errors that they are sent, and are sent none before the handshake is over, so
// this is where their owners look.
type refusalLog struct {
	log     *slog.Logger
	bound   *rate.Limiter
	omitted atomic.Int64 // since the last that was logged
}

func newRefusalLog(log *slog.Logger) *refusalLog {
	return &refusalLog{log: log, bound: rate.NewLimiter(refusalsPerSecond, refusalsAtOnce)}
}

// note reports whether there was room for it.
func (r *refusalLog) note(what string, addr netip.AddrPort, attrs ...slog.Attr) bool {
	if !r.bound.Allow() {
		r.omitted.Add(1)
		return false
	}
	attrs = append([]slog.Attr{slog.String("addr", addr.String())}, attrs...)
	if n := r.omitted.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("omitted_before", n))
	}
	r.log.LogAttrs(context.Background(), slog.LevelInfo, what, attrs...) //nolint:sloglint // each caller has a constant
	return true
}

// hungUp reports whether a handshake failed only because the peer went away or said
// nothing, as whoever looks for open ports does.
func hungUp(err error) bool {
	for _, end := range []error{
		io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
