package page

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

const (
	pace     = 250 * time.Millisecond // at most one batch in this time
	tick     = 2 * time.Second        // what changes without a revision is looked at this often
	retry    = time.Second            // after the registry could not be followed
	readTime = 5 * time.Second        // what one look at the registry may take
)

// batch is what happened in a registry within a moment. Batches are a list that grows at
// one end: each stream walks it at its own speed, and what all have passed is forgotten.
type batch struct {
	restart  bool // what came before is not known: read all anew
	tick     bool // nothing has changed but the time
	changes  []api.Change
	registry api.Registry
	overview []byte // what the overview shows differently now; nil: nothing

	ready chan struct{} // closed when next is there
	next  *batch
}

// hub follows a registry as long as there is a stream, once for all streams.
type hub struct {
	src Source
	log *slog.Logger

	mu       sync.Mutex // guards the rest
	streams  int
	stop     context.CancelFunc
	ended    chan struct{}
	head     *batch
	overview *overview
}

func newHub(src Source, log *slog.Logger) *hub { return &hub{src: src, log: log} }

// join begins a stream. The batch that it returns is in the past, those after it are not.
// The caller has to call leave.
func (h *hub) join(ctx context.Context) (*batch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams == 0 {
		first := newOverview(h.src)
		if err := first.reset(ctx); err != nil {
			return nil, err
		}
		h.overview, h.head, h.ended = first, newBatch(), make(chan struct{})
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		h.stop = stop
		go h.run(ctx, first, h.ended)
	}
	h.streams++
	return h.head, nil
}

// leave ends a stream, and with the last one what all have started.
func (h *hub) leave() {
	h.mu.Lock()
	h.streams--
	last, stop, ended := h.streams == 0, h.stop, h.ended
	if last {
		h.overview, h.head = nil, nil
		stop()
	}
	h.mu.Unlock()
	if last {
		<-ended
	}
}

// shown returns the rows of the overview as the streams have them, if there is a stream.
func (h *hub) shown() ([]row, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.overview == nil {
		return nil, false
	}
	return h.overview.rows(), true
}

func newBatch() *batch { return &batch{ready: make(chan struct{})} }

// run makes batches for the streams of an overview until ctx ends.
func (h *hub) run(ctx context.Context, o *overview, ended chan<- struct{}) {
	defer close(ended)
	in := make(chan *batch)
	var follower sync.WaitGroup
	defer follower.Wait()
	follower.Go(func() { h.follow(ctx, in) })
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		b := newBatch()
		select {
		case <-ctx.Done():
			return
		case b = <-in:
		case <-ticks.C:
			b.tick = true
		}
		h.publish(ctx, o, b)
		// Changes wait here meanwhile, and become one for each cluster.
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

// follow hands on what changes. While nobody takes it, the registry collects.
func (h *hub) follow(ctx context.Context, in chan<- *batch) {
	for ctx.Err() == nil {
		err := h.src.Follow(ctx, "", func(restart bool, changes []api.Change) error {
			b := newBatch()
			b.restart, b.changes = restart, changes
			select {
			case in <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if ctx.Err() != nil {
			return
		}
		h.log.Warn("registry cannot be followed for the page", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// publish completes a batch, and appends it to the list. If the last stream has left
// meanwhile, there may be others already, whose list begins anew.
func (h *hub) publish(ctx context.Context, o *overview, b *batch) {
	b.registry = h.src.Registry()
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	rows, err := o.next(ctx, b)
	if err != nil && ctx.Err() == nil {
		h.log.Warn("overview cannot be read", "err", err)
	}
	if len(rows) > 0 {
		b.overview = encode(message{Rows: rows})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.overview != o {
		return
	}
	h.head.next = b
	close(h.head.ready)
	h.head = b
}

// revision is that of the newest change in a batch; empty if there is none.
func (b *batch) revision() string {
	if n := len(b.changes); n > 0 {
		return b.changes[n-1].Revision
	}
	return ""
}

// message is one event of a stream.
type message struct {
	Now   int64    `json:"now"` // in milliseconds, since the browser's clock may be wrong
	Rows  []row    `json:"rows"`
	Order []string `json:"order,omitempty"` // the keys of the list, which has no others
	Empty bool     `json:"empty,omitempty"` // the list has none
	Say   string   `json:"say,omitempty"`   // what is worth saying aloud
	News  string   `json:"news,omitempty"`  // what the list does not show
}

func encode(m message) []byte {
	m.Now = time.Now().UnixMilli()
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // there are only strings and numbers in it
	}
	return b
}
