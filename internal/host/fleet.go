package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/keys"
)

// Shared is a store.Store that other servers stand on, too.
type Shared interface {
	store.Store

	// Announce keeps a record for as long as this process lives and reaches the
	// database, until ctx ends.
	Announce(ctx context.Context, key string, value []byte) error

	// Connected reports whether the database can be reached, and returns a channel that
	// is closed when that may have changed.
	Connected() (bool, <-chan struct{})
}

// announceTime is how long a server that starts waits until the others know of it.
const announceTime = 10 * time.Second

// membership is a server's place among those it shares a store with. The zero value is
// that of a server that has its store to itself.
type membership struct {
	id         records.ServerID
	stop       context.CancelFunc // nil if there is nothing to stop
	announcing sync.WaitGroup
}

// enter announces this server, and returns when the others know of it.
func (m *membership) enter(shared Shared, version string) error {
	name, _ := os.Hostname() // for people, who may do without
	server := records.Server{ID: newServerID(), Name: name, Version: version, Reads: records.NewestVersion}
	key, value, err := server.Record()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	m.id, m.stop = server.ID, stop
	m.announcing.Go(func() { failed <- shared.Announce(ctx, key, value) })
	seen, end := context.WithTimeout(ctx, announceTime)
	defer end()
	known := make(chan error, 1)
	m.announcing.Go(func() { known <- awaitRecord(seen, shared, key) })
	select {
	case err = <-failed:
		err = fmt.Errorf("announce this server: %w", err)
	case err = <-known:
	}
	return err
}

// leave takes the announcement back. It may be called again.
func (m *membership) leave() {
	if m.stop != nil {
		m.stop()
	}
	m.announcing.Wait()
}

// relistenPause is how long a server waits until it tries again to open its ports.
const relistenPause = time.Second

// serveFleet serves while the store can be reached. When it is lost the server does what
// it does at its end: the ports are closed, and whoever waits is told to come back. So
// clients go to another server at once, and come to this one no sooner than it is of use.
func (h *Host) serveFleet(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	var failure error
	watching.Go(func() {
		select {
		case <-ctx.Done():
		case failure = <-h.registry.Failure(): // the rules say that this server can no longer serve
			stop()
		}
	})
	err := h.serveWhenever(ctx)
	stop()
	watching.Wait()
	return cmp.Or(failure, err)
}

// serveWhenever serves whenever the store can be reached, until ctx ends.
func (h *Host) serveWhenever(ctx context.Context) error {
	for first := true; ; first = false {
		if !h.awaitConnected(ctx, true) || !first && !h.reopenUnlessDrained(ctx) {
			return nil
		}
		again, err := h.serveWhileConnected(ctx)
		if err == nil && ctx.Err() == nil {
			h.log.Error("the store cannot be reached, so no clients are served until it can")
			h.awaitConnected(ctx, true)
		}
		again()
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// serveWhileConnected serves until ctx ends or the store is lost. From then on whoever
// connects to a port that cannot be closed is turned away, until again is called.
func (h *Host) serveWhileConnected(ctx context.Context) (again func(), err error) {
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	again = func() {}
	watching.Go(func() {
		lost := h.awaitConnected(ctx, false)
		h.ready.Store(false) // at once, and not when the last request is answered
		stop()
		if lost {
			again = h.listen.door.turnAway()
		}
	})
	err = h.serve(ctx)
	stop()
	watching.Wait()
	return again, err
}

// awaitConnected waits until the store can be reached, or until it cannot. It returns
// false if ctx ends before.
func (h *Host) awaitConnected(ctx context.Context, want bool) bool {
	for ctx.Err() == nil {
		is, turned := h.shared.Connected()
		if is == want {
			return true
		}
		select {
		case <-turned:
		case <-ctx.Done():
		}
	}
	return false
}

// drain has the server take no connections, or take them again. Ports that cannot be closed
// turn clients away meanwhile.
func (h *Host) drain(ctx context.Context, on bool) error {
	h.draining.Lock()
	defer h.draining.Unlock()
	if h.undrain != nil {
		h.undrain()
		h.undrain = nil
	}
	err := h.server.Drain(ctx, on)
	if h.server.Draining() {
		h.undrain = h.listen.door.turnAway()
	}
	return err
}

// endDrain is for the end of the host.
func (h *Host) endDrain() {
	h.draining.Lock()
	defer h.draining.Unlock()
	if h.undrain != nil {
		h.undrain()
		h.undrain = nil
	}
}

// reopenUnlessDrained opens the ports when the store is back. If the server is drained it
// opens them itself when that is over.
func (h *Host) reopenUnlessDrained(ctx context.Context) bool {
	if h.server.Draining() {
		h.listen.listeners = nil
		return true
	}
	open := h.reopen(ctx)
	if open {
		h.log.Info("the store is back, clients are served")
	}
	return open
}

// reopened is for server.Config.
func (h *Host) reopened(ctx context.Context) []net.Listener {
	if !h.reopen(ctx) {
		return nil
	}
	h.log.Info("connections are taken again")
	return h.listen.listeners
}

// reopen opens the ports again, which another program may have taken for a moment. It
// returns false if ctx ends before.
func (h *Host) reopen(ctx context.Context) bool {
	for ctx.Err() == nil {
		err := h.listen.again()
		if err == nil {
			return true
		}
		h.log.Error("cannot open the ports again, will try again", "err", err)
		pause(ctx, relistenPause)
	}
	return false
}

var errThere = errors.New("the record is there")

// awaitRecord waits until there is a record.
func awaitRecord(ctx context.Context, s store.Store, key string) error {
	err := s.Watch(ctx, key, func(store.Change) error {
		err := s.View(ctx, func(tx store.Reader) error {
			_, err := tx.Get(key)
			return err
		})
		if err == nil {
			return errThere
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	switch {
	case errors.Is(err, errThere):
		return nil
	case err == nil:
		return fmt.Errorf("the store has not told of this server within %v", announceTime)
	}
	return err
}

// newServerID returns an ID for one run of a server. Those of servers that start later
// sort behind.
func newServerID() records.ServerID {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return records.ServerID(fmt.Sprintf("%012x-%x", time.Now().UnixMilli(), random))
}

// formerSig returns the fingerprint of the sig key before the present one; empty if there
// was none.
func formerSig(node *identity.Node) (string, error) {
	_, s, err := successionOf(node)
	if err != nil || s == nil {
		return "", err
	}
	root, err := x509.ParseCertificate(s.Root())
	if err != nil {
		return "", fmt.Errorf("keys before: %w", err)
	}
	return keys.Fingerprint(xlreg.SigKey(root.RawSubjectPublicKeyInfo))
}

// settle finds out which ID the registry has by its store, whose first server says so for
// all. A server with other keys would be another registry on the same clusters, unless
// they are the next ones after those that the store knows.
func settle(ctx context.Context, s store.Store, node *identity.Node, own xlreg.NodeID) (xlreg.NodeID, error) {
	sig, err := keys.Fingerprint(node.Keys().SigKey)
	if err != nil {
		return "", err
	}
	former, err := formerSig(node)
	if err != nil {
		return "", err
	}
	var found records.Identity
	err = s.Update(ctx, func(tx store.Writer) error {
		w := records.NewWriter(tx)
		found, err = w.Identity()
		switch {
		case records.IsNotFound(err):
			found = records.Identity{ID: own, Name: node.Name(), Sig: sig}
		case err != nil || former == "" || found.Sig != former:
			return err
		default:
			found.Sig = sig
		}
		return w.PutIdentity(found)
	})
	if err != nil {
		return "", fmt.Errorf("read whose the store is: %w", err)
	}
	if found.Sig != sig {
		return "", fmt.Errorf("%w: %s with the sig key %s, and this server has the sig key %s; start it with a copy of the other servers' data directory",
			records.ErrAnothers, found.Name, found.Sig, sig)
	}
	if found.ID == own {
		return own, nil
	}
	if err := node.SetRegistry(identity.KnownRegistry{Sig: sig, Name: node.Name(), ID: found.ID}); err != nil {
		return "", fmt.Errorf("keep the registry's ID: %w", err)
	}
	return found.ID, nil
}
