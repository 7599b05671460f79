package bolt

import (
	"cmp"
	"context"
	"io"
)

// Backup copies the file as it is at one moment, while others read and write. It
// calls to with the length of the copy, and writes that many bytes to what it
// returns. The pages of that moment are kept until it is done, and the file may grow
// meanwhile. An end of ctx ends it between two writes.
func (s *Store) Backup(ctx context.Context, to func(size int64) io.Writer) error {
	tx, err := s.driver.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	w := &endingWriter{ctx: ctx, to: to(tx.Size())}
	// Written with calls of read, so damage is no fault here: it is found by whoever
	// checks the copy.
	_, err = tx.WriteTo(w)
	return cmp.Or(w.err, err)
}

// endingWriter refuses to go on once its context has ended. It keeps its error, of
// which bbolt keeps the text alone.
type endingWriter struct {
	ctx context.Context //nolint:containedctx // it lives as long as the call that has the context
	to  io.Writer
	err error
}

func (w *endingWriter) Write(p []byte) (n int, err error) {
	if err = w.ctx.Err(); err == nil {
		n, err = w.to.Write(p)
	}
	w.err = err
	return n, err
}
