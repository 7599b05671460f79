package hostile

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// ledger is a store that notes what is put into it and taken away.
type ledger struct {
	store.Store

	mu       sync.Mutex
	changes  int                           // guarded by mu, as is all below
	ends     int                           // of them, those that free seats which go with a connection
	nodes    map[xlreg.NodeID]xlreg.SigKey // ever put, with their first keys
	passed   []xlreg.NodeID                // that went from one key to another
	clusters map[xlreg.ClusterID]bool      // ever put
	keyed    []xlreg.ClusterID             // those with a key, as they came
}

func newLedger() *ledger {
	return &ledger{Store: memory.New(), nodes: make(map[xlreg.NodeID]xlreg.SigKey), clusters: make(map[xlreg.ClusterID]bool)}
}

// Update implements store.Store.
func (l *ledger) Update(ctx context.Context, f func(store.Writer) error) error {
	var last *page
	var nodes []xlreg.Token
	err := l.Store.Update(ctx, func(w store.Writer) error {
		last, nodes = &page{Writer: w}, nil
		if err := f(last); err != nil {
			return err
		}
		for _, id := range last.nodes {
			node, err := records.NewReader(w).Node(id)
			if err != nil {
				return err
			}
			nodes = append(nodes, node.Token)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes += last.changes
	if last.ends > 0 {
		l.ends += last.changes
	}
	for _, node := range nodes {
		l.bind(node)
	}
	for _, id := range last.clusters {
		if last.keyed && !l.clusters[id] {
			l.keyed = append(l.keyed, id)
		}
		l.clusters[id] = true
	}
	return nil
}

// bind notes whose node it is. mu is held.
func (l *ledger) bind(node xlreg.Token) {
	if key, ok := l.nodes[node.ID]; ok && key != node.SigKey {
		l.passed = append(l.passed, node.ID)
		return
	}
	l.nodes[node.ID] = node.SigKey
}

// keyedClusters returns the clusters with a key that there have been, as they came.
func (l *ledger) keyedClusters() []xlreg.ClusterID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.keyed)
}

// count returns how many records have been changed, and how many of them because a seat
// went that may go with a connection.
func (l *ledger) count() (changes, ends int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes, l.ends
}

// clustersEver returns the clusters that there have been.
func (l *ledger) clustersEver() []xlreg.ClusterID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.clusters))
}

// page is what one transaction changes, by the keys that internal/records has for it.
type page struct {
	store.Writer
	changes  int
	ends     int // seats that wait for a new start, and are freed
	nodes    []xlreg.NodeID
	clusters []xlreg.ClusterID
	keyed    bool // the name of a cluster with a key is put, too
}

// Put implements store.Writer.
func (p *page) Put(key string, value []byte) error {
	switch {
	case key[0] == 'n':
		p.nodes = append(p.nodes, xlreg.NodeID(key[1:]))
	case key[0] == 'o':
		p.keyed = true
	case key[0] == 'c' && len(key) == 2+int(key[1]): // not that of a seat
		p.clusters = append(p.clusters, xlreg.ClusterID(key[2:]))
	}
	return p.change(key, func() error { return p.Writer.Put(key, value) })
}

// Delete implements store.Writer.
func (p *page) Delete(key string) error {
	return p.change(key, func() error { return p.Writer.Delete(key) })
}

// change counts a change, and what it ends: of a seat that is vacated a trace may stay.
func (p *page) change(key string, do func() error) error {
	p.changes++
	waited := p.waits(key)
	if err := do(); err != nil {
		return err
	}
	if waited && !p.waits(key) {
		p.ends++
	}
	return nil
}

// waits reports whether a key is that of a seat which waits for a new start.
func (p *page) waits(key string) bool {
	head := 2 + int(key[1])
	if key[0] != 'c' || len(key) != head+2 {
		return false
	}
	r := records.NewReader(p.Writer)
	c, err := r.Cluster(xlreg.ClusterID(key[2:head]))
	if err != nil {
		return false
	}
	seat, err := r.SeatAt(&c, int(binary.BigEndian.Uint16([]byte(key[head:]))))
	return err == nil && seat.Fresh && seat.Epoch > c.Completed
}
