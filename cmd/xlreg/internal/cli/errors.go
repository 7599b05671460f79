package cli

import "errors"

// ErrUsage marks an error of the command line itself.
var ErrUsage = errors.New("usage")

// marked is an error that is another one besides, and keeps its text.
type marked struct{ cause, mark error }

func (m marked) Error() string   { return m.cause.Error() }
func (m marked) Unwrap() []error { return []error{m.cause, m.mark} }

// Mark returns an error that reads like err and is both err and mark.
func Mark(err, mark error) error { return marked{err, mark} }

// UsageError marks err as one of the command line itself.
func UsageError(err error) error { return Mark(err, ErrUsage) }
