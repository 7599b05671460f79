package server

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/btree"

	"github.com/xlattice/xlreg"
)

// Session is one open connection, as it is shown to whoever runs the registry.
type Session struct {
	ID       uint64 // of this server, in the order in which they began
	From     string
	Protocol xlreg.Protocol // 0 until the handshake has ended
	Node     xlreg.NodeID   // empty until it has said who it is
	Began    time.Time
	Requests int
	Waits    xlreg.ClusterID // for which it waits; empty if it does not
}

// openSession is what others may look at while a session goes on. The session changes it
// without a lock.
type openSession struct {
	id    uint64
	from  net.Addr
	began time.Time

	protocol atomic.Uint32
	node     atomic.Pointer[xlreg.NodeID]
	requests atomic.Int64
	waits    atomic.Pointer[xlreg.ClusterID]
}

// openSessions are those that there are, by their IDs. Each is entered once and leaves
// once: so one lock is enough.
type openSessions struct {
	mu   sync.Mutex
	last uint64                          // guarded by mu
	byID btree.Map[uint64, *openSession] // guarded by mu
}

func (o *openSessions) enter(from net.Addr, began time.Time) *openSession {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	s := &openSession{id: o.last, from: from, began: began}
	o.byID.Set(s.id, s)
	return s
}

func (o *openSessions) leave(s *openSession) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.byID.Delete(s.id)
}

// after returns up to limit sessions whose IDs are greater than one, and whether there are
// more.
func (o *openSessions) after(id uint64, limit int) (found []*openSession, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.byID.Ascend(id+1, func(_ uint64, s *openSession) bool {
		if more = len(found) == limit; more {
			return false
		}
		found = append(found, s)
		return true
	})
	return found, more
}

// known notes that the handshake has ended.
func (s *openSession) known(p xlreg.Protocol) { s.protocol.Store(uint32(p)) }

func (s *openSession) identified(node xlreg.NodeID) { s.node.Store(&node) }

// waitsFor notes what the session waits for, until done is called.
func (s *openSession) waitsFor(id *xlreg.ClusterID) (done func()) {
	s.waits.Store(id)
	return func() { s.waits.Store(nil) }
}

func (s *openSession) show() Session {
	shown := Session{
		ID: s.id, From: s.from.String(), Protocol: xlreg.Protocol(s.protocol.Load()), Began: s.began,
		Requests: int(s.requests.Load()),
	}
	if node := s.node.Load(); node != nil {
		shown.Node = *node
	}
	if waits := s.waits.Load(); waits != nil {
		shown.Waits = *waits
	}
	return shown
}

// SessionsAfter returns up to limit of the open connections that began after the one with
// an ID, in the order in which they began, and whether there are more.
func (s *Server) SessionsAfter(id uint64, limit int) (sessions []Session, more bool) {
	found, more := s.open.after(id, limit)
	sessions = make([]Session, len(found))
	for i := range found {
		sessions[i] = found[i].show()
	}
	return sessions, more
}
