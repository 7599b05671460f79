package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	heartbeat = 15 * time.Second
	eventTime = 10 * time.Second // for writing one event
)

// view is what one stream shows.
type view interface {
	// state returns all that is shown, and its revision. It may be nil if since is that.
	state(ctx context.Context, since string) (event []byte, revision string, err error)
	// patch returns what is shown differently after a batch; nil is nothing.
	patch(ctx context.Context, b *batch) ([]byte, error)
}

// errGone ends a stream whose subject is no more; the browser is told before.
var errGone = errors.New("what is shown has gone")

// stream answers with events: the state first, then what changes.
func (p *page) stream(open func(*http.Request) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.streams <- struct{}{}:
			defer func() { <-p.streams }()
		default:
			w.Header().Set("Retry-After", "10")
			http.Error(w, "too many pages are open: try again later", http.StatusServiceUnavailable)
			return
		}
		v, err := open(r)
		var last *batch
		if err == nil {
			last, err = p.hub.join(r.Context())
		}
		if err != nil {
			_, status := p.problem(r, err)
			http.Error(w, http.StatusText(status), status)
			return
		}
		defer p.hub.leave()
		s := &stream{w: w, control: http.NewResponseController(w), r: r, page: p, view: v, last: last}
		if err := s.run(r.Context()); err != nil && r.Context().Err() == nil {
			p.cfg.Logger.Debug("stream of a page ended", "err", err)
		}
	}
}

// stream is one browser that listens.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	r       *http.Request
	page    *page
	view    view
	last    *batch // that has been shown
}

// run ends when the browser has gone, a write takes too long, the right to read is taken
// away, the server stops, or there is nothing more to show.
func (s *stream) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.page.cfg.Done:
			return nil
		case <-beat.C:
			if may := s.page.cfg.MayRead; may != nil && !may(s.r) {
				return nil
			}
			if err := s.write(": still here\n\n"); err != nil {
				return err
			}
		case <-s.last.ready:
			s.last = s.last.next
			if err := s.show(ctx, s.last); err != nil {
				return err
			}
		}
	}
}

// begin sends the headers at once, and the state.
func (s *stream) begin(ctx context.Context) error {
	// A stream outlives the time in which a request has to be read.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("lift read deadline: %w", err)
	}
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy before us hands on each event at once
	if err := s.write("retry: 2000\n\n"); err != nil {
		return err
	}
	since := s.r.Header.Get("Last-Event-ID")
	if since == "" {
		since = s.r.URL.Query().Get("since")
	}
	return s.all(ctx, since)
}

func (s *stream) show(ctx context.Context, b *batch) error {
	if b.restart {
		return s.all(ctx, "")
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	event, err := s.view.patch(ctx, b)
	if errors.Is(err, errGone) {
		return errors.Join(s.event("gone", []byte("{}"), ""), err)
	}
	if err != nil || event == nil {
		return err
	}
	return s.event("change", event, b.revision())
}

func (s *stream) all(ctx context.Context, since string) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	event, revision, err := s.view.state(ctx, since)
	if errors.Is(err, errGone) {
		return errors.Join(s.event("gone", []byte("{}"), ""), err)
	}
	if err != nil {
		return err
	}
	if event == nil {
		event = encode(message{})
	}
	return s.event("state", event, revision)
}

// event writes one event. What is in it is JSON, and so has no line breaks.
func (s *stream) event(kind string, data []byte, revision string) error {
	id := ""
	if revision != "" {
		id = "id: " + revision + "\n"
	}
	return s.write(id + "event: " + kind + "\ndata: " + string(data) + "\n\n")
}

// write has a deadline of its own: a browser that does not read is cut off, and begins
// again when it does.
func (s *stream) write(text string) error {
	err := s.control.SetWriteDeadline(time.Now().Add(eventTime))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set write deadline: %w", err)
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}
