package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// What PostgreSQL calls the errors that are explained here (its appendix A).
const (
	codeReadOnly    = "25006"
	codeDiskFull    = "53100"
	codeTooMany     = "53300"
	codeLockTimeout = "55P03"
	codeCancelled   = "57014"
	codeNoPrivilege = "42501"
)

// meanings are what an operator is told first.
var meanings = map[string]string{
	codeReadOnly:    "the database is read-only",
	codeDiskFull:    "the disk of the database is full",
	codeTooMany:     "the database takes no more connections",
	codeLockTimeout: "another server held the lock for too long",
	codeCancelled:   "the database took too long",
	codeNoPrivilege: "the user of the database may not do this",
}

// passes are the errors, or classes of them, that may be gone in a moment.
var passes = map[string]bool{
	"08":            true, // connections
	"40":            true, // what collides with others
	"57P01":         true, // a server that ends,
	"57P02":         true,
	"57P03":         true, // or begins
	codeReadOnly:    true,
	codeTooMany:     true,
	codeLockTimeout: true,
	codeCancelled:   true,
}

// lineError is an error of the library in one line.
type lineError struct {
	doing string
	err   error
}

// Error implements error.
func (e *lineError) Error() string {
	text := strings.Join(strings.Fields(e.err.Error()), " ")
	var pg *pgconn.PgError
	if errors.As(e.err, &pg) && meanings[pg.Code] != "" {
		text = meanings[pg.Code] + ": " + text
	}
	return "postgres: " + e.doing + ": " + text
}

// Unwrap lets errors.Is and errors.As see the cause, and whether it may be gone soon.
func (e *lineError) Unwrap() []error {
	if passing(e.err) {
		return []error{mirror.ErrUnreachable, e.err}
	}
	return []error{e.err}
}

// passing reports whether what failed may work in a moment, perhaps on another host: the
// network, a server that starts or ends or may only be read, or too many who want the
// same. What the server says of a user, or of its disk, does not pass so soon.
func passing(err error) bool {
	var pg *pgconn.PgError
	var connecting *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, store.ErrUnknown):
		return false
	case errors.Is(err, errReadOnly):
		return true
	case errors.As(err, &pg):
		return passes[pg.Code] || len(pg.Code) == 5 && passes[pg.Code[:2]]
	case errors.As(err, &connecting):
		return !errors.As(err, new(*tls.CertificateVerificationError))
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, pgconn.ErrConnClosed)
}

// explain says in one line what failed.
func explain(doing string, err error) error {
	if err == nil || errors.Is(err, store.ErrClosed) {
		return err
	}
	return &lineError{doing, err}
}

// settle says of an error of a change that was sent whether it may have been made. It has
// not if the server says that it has rolled back: that is what an ERROR is. With a FATAL
// it ends the session, perhaps between the commit and the answer.
func settle(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && severity(pg) == "ERROR" {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnknown, err)
}

func severity(e *pgconn.PgError) string {
	if e.SeverityUnlocalized != "" {
		return e.SeverityUnlocalized
	}
	return e.Severity
}
