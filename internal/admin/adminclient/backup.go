package adminclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Backup asks for a copy of the registry's data. It calls to with the length of the copy,
// and writes it to what that returns. A copy that ends early is an error.
func (c *Client) Backup(ctx context.Context, to func(size int64) io.Writer) error {
	silenced, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(pieceTime, cancel)
	defer silent.Stop()
	err := c.backup(silenced, to, func() { silent.Reset(pieceTime) })
	if err != nil && ctx.Err() == nil && silenced.Err() != nil {
		return fmt.Errorf("%w: nothing has come for %v", ErrBroken, pieceTime)
	}
	return err
}

func (c *Client) backup(ctx context.Context, to func(size int64) io.Writer, heard func()) error {
	answer, err := c.open(ctx, &call{method: http.MethodGet, path: "/backup", accept: "application/octet-stream"})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.ContentLength < 0 {
		return fmt.Errorf("%w: it does not say how long the copy is", ErrForeign)
	}
	body := &pieces{answer.Body, heard}
	if _, err := io.CopyN(to(answer.ContentLength), body, answer.ContentLength); err != nil {
		return fmt.Errorf("receive copy: %w", err)
	}
	return nil
}

// pieces tells of each piece that has come.
type pieces struct {
	io.Reader
	heard func()
}

func (p *pieces) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.heard()
	return n, err
}
