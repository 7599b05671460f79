package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// ErrNotServed says that nobody answers at a socket.
var ErrNotServed = errors.New("no registry answers")

// maxProblem is how much is read of an answer that says what is wrong.
const maxProblem = 4 << 10

// Backup asks the registry at a socket for a copy of its data. It calls to with the
// length of the copy, and writes it to what that returns. A copy that ends early is an
// error. ErrNotServed says that there is no registry.
func Backup(ctx context.Context, socket string, to func(size int64) io.Writer) error {
	if len(socket) > maxPath {
		return fmt.Errorf("%w at %s: %w", ErrNotServed, socket, ErrPathTooLong)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, socket)
		},
		ResponseHeaderTimeout: writeTime,
		DisableCompression:    true,
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry"+backupPath, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return withoutRequest(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ContentLength < 0 {
		return fmt.Errorf("registry answers %s: %s", answer.Status, problemIn(answer.Body))
	}
	if _, err := io.CopyN(to(answer.ContentLength), answer.Body, answer.ContentLength); err != nil {
		return fmt.Errorf("receive copy: %w", err)
	}
	return nil
}

// problemIn returns what an answer says is wrong.
func problemIn(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, maxProblem)) // what can be read will do
	var said struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(text, &said) == nil && said.Detail != "" {
		return said.Detail
	}
	return strings.TrimSpace(string(text))
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = fmt.Errorf("%w at %s: %w", ErrNotServed, socket, op.Err)
	}
	return conn, err
}

// withoutRequest leaves away which request failed: there is one, and its URL names no
// place that anybody knows.
func withoutRequest(err error) error {
	if request := (*url.Error)(nil); errors.As(err, &request) {
		return request.Err
	}
	return err
}
