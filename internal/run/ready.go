package run

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// How programs are asked whether they are ready. The pauses between the tries grow, so
// that what starts fast is seen fast, and what starts slowly is not disturbed.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
	oneTry       = 5 * time.Second
)

// Await returns nil once a check of the named program has passed. If it does not in time, the
// error is a *NotReadyError; if ctx ends before, the error means nothing.
func (r *Ready) Await(ctx context.Context, name string) error {
	limit := r.Timeout
	if limit == 0 {
		limit = DefaultReadyTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := r.Check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // a try that was cut short says nothing
		}
		select {
		case <-ctx.Done():
			return &NotReadyError{Name: name, What: r.What, After: limit, Last: last}
		case <-time.After(pause):
		}
	}
}

// CheckTCP returns a check that an address takes connections.
func CheckTCP(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		d := net.Dialer{Timeout: oneTry}
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// silence is how long an open connection has to stay open until it is taken for a program's.
const silence = 500 * time.Millisecond

// errClosed says that a connection was closed at once, as Ports.Refuse does.
var errClosed = errors.New("the connection was closed at once: nothing serves there yet")

// CheckServed returns a check that an address takes connections, and keeps them: one whose
// port is only held for a program, perhaps on another machine, does not.
func CheckServed(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		d := net.Dialer{Timeout: oneTry}
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 1))
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) { // most wait for what they are asked
			return errClosed
		}
		return nil
	}
}

// CheckHTTP returns a check that an address is answered with a status of 200 to 299. The
// configuration is that of https, and may be nil. Errors do not repeat the address, which may have
// a secret in it.
func CheckHTTP(address string, config *tls.Config) func(context.Context) error {
	return func(ctx context.Context) error {
		// Nothing is kept for the next try, which may be another program's that listens there.
		transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: oneTry}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return withoutURL(err)
		}
		answer, err := client.Do(req)
		if err != nil {
			return withoutURL(err)
		}
		defer answer.Body.Close()
		_, _ = io.CopyN(io.Discard, answer.Body, 1<<16) // read, so that the program sees no broken connection
		if answer.StatusCode < 200 || answer.StatusCode > 299 {
			return fmt.Errorf("the answer is %s", answer.Status)
		}
		return nil
	}
}

// withoutURL returns what was wrong, without the URL with which it was.
func withoutURL(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
