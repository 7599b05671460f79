package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// What may be gone in a moment is told apart from what is not.
func TestUnreachable(t *testing.T) {
	said := func(severity, code string) error {
		return &pgconn.PgError{Severity: severity, Code: code, Message: "two\nlines"}
	}
	for _, c := range []struct {
		err                  error
		unreachable, unknown bool // the second if a change was on its way
	}{
		{said("ERROR", codeReadOnly), true, false},
		{said("ERROR", codeDiskFull), false, false},
		{said("ERROR", codeLockTimeout), true, false},
		{said("ERROR", codeCancelled), true, false},
		{said("ERROR", "40001"), true, false},
		{said("ERROR", codeNoPrivilege), false, false},
		{said("ERROR", ""), false, false},
		{said("FATAL", "57P01"), true, true},
		{said("FATAL", "57P03"), true, true},
		{said("PANIC", codeDiskFull), false, true},
		{&net.OpError{Op: "read", Err: io.EOF}, true, true},
		{io.ErrUnexpectedEOF, true, true},
		{context.DeadlineExceeded, true, true},
		{context.Canceled, false, true},
		{errReadOnly, true, true},
		{errNoVerdict, false, true},
	} {
		got := explain("try", fmt.Errorf("wrapped: %w", c.err))
		if errors.Is(got, mirror.ErrUnreachable) != c.unreachable {
			t.Errorf("%v: unreachable is not %v", c.err, c.unreachable)
		}
		if !errors.Is(got, c.err) || strings.Contains(got.Error(), "\n") {
			t.Errorf("%v: got %q", c.err, got)
		}
		sent := explain("try", settle(c.err))
		if errors.Is(sent, store.ErrUnknown) != c.unknown {
			t.Errorf("%v, sent: unknown is not %v", c.err, c.unknown)
		}
		if c.unknown && errors.Is(sent, mirror.ErrUnreachable) {
			t.Errorf("%v, sent: to be tried again", c.err)
		}
	}
	if err := explain("try", nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
}
