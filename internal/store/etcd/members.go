package etcd

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"
)

// How long a member may take to be connected to before the next one is tried. It
// grows, for networks that are slow.
const (
	firstPatience = 250 * time.Millisecond
	lastPatience  = 4 * time.Second
)

// members are the endpoints of etcd, of which one at a time is in use. So it is known
// who does not answer, and what a transaction has changed and what the watch tells
// come from one place. Which one is the first is left to chance.
type members struct {
	endpoints []string
	use       func(...string) // set once the client is there

	mu      sync.Mutex
	current int // index in endpoints; guarded by mu
}

func newMembers(endpoints []string) *members {
	shuffled := slices.Clone(endpoints)
	rand.Shuffle(len(shuffled), func(i, j int) { //nolint:gosec // to spread load
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
	})
	return &members{endpoints: shuffled}
}

func (m *members) first() []string { return m.endpoints[:1] }

func (m *members) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current
}

// leave goes on to the next member, unless somebody has done so already.
func (m *members) leave(at int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at != m.current {
		return
	}
	m.current = (m.current + 1) % len(m.endpoints)
	m.use(m.endpoints[m.current])
}

// doubt leaves a member if an error says that it does not do its work.
func (m *members) doubt(at int, err error) {
	if isUnreachable(err) {
		m.leave(at)
	}
}

// watch goes on to another member when the present one cannot be connected to.
func (m *members) watch(ctx context.Context, client *clientv3.Client) {
	conn := client.ActiveConnection()
	patience := firstPatience
	for ctx.Err() == nil {
		at := m.now()
		state := conn.GetState()
		if state == connectivity.Ready {
			patience = firstPatience
			conn.WaitForStateChange(ctx, state)
			continue
		}
		conn.Connect()
		if !becomesReady(ctx, conn, patience) && ctx.Err() == nil {
			m.leave(at)
			patience = min(patience*3/2, lastPatience)
		}
	}
}

type connection interface {
	GetState() connectivity.State
	WaitForStateChange(ctx context.Context, from connectivity.State) bool
}

// becomesReady waits for a connection. One that fails is given up at once, unless it
// has failed from the start: then it may be the failure of the member before.
func becomesReady(ctx context.Context, conn connection, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(ctx, state) {
			return false
		}
		if now := conn.GetState(); now == connectivity.TransientFailure {
			return false
		}
	}
	return true
}
