package adminclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// event is one server-sent event.
type event struct {
	id   string // of this event, or of the last one that had one
	name string // empty: a plain message
	data []byte
}

// Bounds of a stream.
const (
	maxEvent  = 4 << 20
	firstWait = 250 * time.Millisecond
	mostWait  = 5 * time.Second
)

var errTooLong = fmt.Errorf("%w: an event is longer than %d MiB", ErrForeign, maxEvent>>20)

// stream is a stream of events that begins again where it was cut off.
type stream struct {
	client *Client
	path   string
	lastID string
	wait   time.Duration // until the next try
	opened bool          // it has been open once
	lost   func(error)   // is told why it was cut off; never nil
}

// run calls f with each event until ctx ends, f fails, or nothing can be had any more.
func (s *stream) run(ctx context.Context, f func(*event) error) error {
	s.wait = firstWait
	for {
		err := s.once(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if stop := (*stopError)(nil); errors.As(err, &stop) {
			return stop.error
		}
		if !s.opened || isFinal(err) {
			return err
		}
		s.lost(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.wait):
		}
		s.wait = min(2*s.wait, mostWait)
	}
}

// stopError is what f has returned.
type stopError struct{ error }

// isFinal reports whether trying again would come to the same.
func isFinal(err error) bool {
	p := (*Problem)(nil)
	if errors.As(err, &p) {
		return p.Status/100 == 4 && p.Status != http.StatusTooManyRequests
	}
	return errors.Is(err, ErrUntrusted) || errors.Is(err, ErrForeign) || errors.Is(err, ErrNotAllowed)
}

// once reads the stream until it is cut off. The server gives a sign of life well within
// pieceTime.
func (s *stream) once(ctx context.Context, f func(*event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(pieceTime, cancel)
	defer silent.Stop()
	answer, err := s.client.open(ctx, &call{method: http.MethodGet, path: s.path, accept: "text/event-stream", lastID: s.lastID})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind != "text/event-stream" {
		return fmt.Errorf("%w: it is no stream of events", ErrForeign)
	}
	s.opened, s.wait = true, firstWait
	p := parser{lines: bufio.NewReader(answer.Body), event: event{id: s.lastID}, heard: func() { silent.Reset(pieceTime) }}
	for {
		e, err := p.next()
		if err != nil {
			return err
		}
		if p.retry > 0 {
			s.wait = min(p.retry, mostWait)
		}
		if err := f(e); err != nil {
			return &stopError{err}
		}
		s.lastID = e.id
	}
}

// parser reads events as the HTML standard, section 9.2.6, has them.
type parser struct {
	lines *bufio.Reader
	event event
	retry time.Duration
	heard func() // is called for each line
}

// next returns the next event that has data. It is good until the one after it.
func (p *parser) next() (*event, error) {
	p.event.name, p.event.data = "", p.event.data[:0]
	some := false
	for {
		line, err := p.line()
		if err != nil {
			return nil, err
		}
		p.heard()
		if len(line) > 0 {
			some = p.field(line) || some
			continue
		}
		if some {
			p.event.data = bytes.TrimSuffix(p.event.data, []byte("\n"))
			return &p.event, nil
		}
		p.event.name = ""
	}
}

// line returns a line without its end.
func (p *parser) line() ([]byte, error) {
	var whole []byte
	for {
		piece, err := p.lines.ReadSlice('\n')
		if len(whole)+len(piece)+len(p.event.data) > maxEvent {
			return nil, errTooLong
		}
		whole = append(whole, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil, ErrBroken // what is left of an event is not one
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		return bytes.TrimRight(whole, "\r\n"), nil
	}
}

// field takes a line of an event, and reports whether it was data. Comments have no name.
func (p *parser) field(line []byte) bool {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		p.event.name = string(value)
	case "id":
		p.event.id = string(value)
	case "data":
		p.event.data = append(append(p.event.data, value...), '\n')
		return true
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			p.retry = time.Duration(ms) * time.Millisecond
		}
	}
	return false
}
