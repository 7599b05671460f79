package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/xlattice/xlreg/internal/store"
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

// Unwrap lets errors.Is and errors.As see the cause.
func (e *lineError) Unwrap() error { return e.err }

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
