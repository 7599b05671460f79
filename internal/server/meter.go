package server

import (
	"context"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/wire"
)

// meters are what sources may cost: how many nodes and clusters they make known, how
// much they write, and how much they read.
type meters struct {
	nodes, clusters, writes, reads *guard.Quota
}

func newMeters(l *guard.Limits) meters {
	r := ratesOf(l)
	return meters{
		nodes: guard.NewQuota(r.nodes), clusters: guard.NewQuota(r.clusters),
		writes: guard.NewQuota(r.writes), reads: guard.NewQuota(r.reads),
	}
}

// set has other limits count from now on.
func (m *meters) set(l *guard.Limits, now time.Time) {
	r := ratesOf(l)
	m.nodes.SetRate(r.nodes, now)
	m.clusters.SetRate(r.clusters, now)
	m.writes.SetRate(r.writes, now)
	m.reads.SetRate(r.reads, now)
}

// rates are those of the meters.
type rates struct{ nodes, clusters, writes, reads guard.Rate }

func ratesOf(l *guard.Limits) rates {
	return rates{
		nodes: guard.Rate{
			Source: l.NodesPerMinute, Loopback: l.LoopbackPerMinute,
			Names: guard.Names{Source: guard.NewNodesPerMinute, Loopback: guard.NewPerMinuteLoopback},
		},
		clusters: guard.Rate{
			Source: l.ClustersPerMinute, Loopback: l.LoopbackPerMinute,
			Names: guard.Names{Source: guard.NewClustersPerMinute, Loopback: guard.NewPerMinuteLoopback},
		},
		writes: guard.Rate{
			Source: l.WritesPerMinute, Loopback: l.WritesPerMinuteLoopback, Total: l.WritesPerMinuteTotal,
			Burst: l.WriteBurst,
			Names: guard.Names{
				Source: guard.WritesPerMinute, Loopback: guard.WritesPerMinuteLoopback, Total: guard.WritesPerMinuteTotal,
			},
		},
		reads: guard.Rate{
			Source: l.ReadMiBPerMinute * readUnits, Loopback: l.ReadMiBPerMinuteLoopback * readUnits,
			Names: guard.Names{Source: guard.ReadMiBPerMinute, Loopback: guard.ReadMiBPerMinuteLoopback},
		},
	}
}

// What reads are counted in, and what one write is counted as.
const (
	readUnit  = 1 << 10
	readUnits = 1 << 20 / readUnit
	writeUnit = guard.WriteUnit
)

// cost returns how many writes it is to keep a token.
func cost(t *xlreg.Token) int {
	n := len(t.Name) + len(t.CommsKey) + len(t.SigKey) + len(t.Labels) + len(t.DigSig2) + len(t.CommsSig) + len(t.Certificate)
	for _, e := range t.Endpoints {
		n += len(e)
	}
	return 1 + n/writeUnit
}

// writing is the right to one request's writes.
type writing struct{ change, made guard.Claim }

// claim takes what a request may write, of which some may be new.
func (p *peerSession) claim(made *guard.Quota, writes int) writing {
	now := p.server.now()
	return writing{p.server.meters.writes.Claim(p.from, now, writes), made.Claim(p.from, now, 1)}
}

func (w *writing) allowance() registry.Allowance {
	switch {
	case !w.change.Allowed():
		return registry.AllowNothing
	case !w.made.Allowed():
		return registry.AllowChange
	}
	return registry.AllowAll
}

// allowance is how far a request may go that makes nothing new.
func allowance(c *guard.Claim) registry.Allowance {
	if !c.Allowed() {
		return registry.AllowNothing
	}
	return registry.AllowChange
}

// settle gives back what was not used, and says when to come back to one that was
// refused for want of it.
func (w *writing) settle(did registry.Effect, err error) error {
	err = w.made.Settle(did == registry.MadeNew, err)
	return w.change.Settle(did != registry.Unchanged, err)
}

// read counts a reply as read by the peer's source, or refuses it.
func (p *peerSession) read(reply *wire.Message) (*wire.Message, error) {
	c := p.server.meters.reads.Claim(p.from, p.server.now(), 1+reply.Size()/readUnit)
	if c.Allowed() {
		return reply, nil
	}
	return nil, c.Settle(false, xlreg.ErrTooManyRequests)
}

// signatureRetry is when a peer is told to come back if there was no turn in time to verify
// its signature.
const signatureRetry = time.Second

// turn is for registry.Credential. Signatures are verified in the same turns as handshakes,
// so a client that sends bad ones has to wait for the others.
func (p *peerSession) turn(ctx context.Context) (release func(good bool), err error) {
	s := p.server
	ctx, cancel := context.WithTimeout(ctx, s.limits.Load().Hello)
	defer cancel()
	done, err := s.turns.Wait(ctx, p.from)
	if err != nil {
		return nil, &xlreg.Error{Kind: xlreg.ErrTooManyRequests, Detail: "signatures", Retry: signatureRetry}
	}
	return func(good bool) {
		done()
		if !good {
			s.turns.Wasted(p.from)
		}
	}, nil
}
