package client

import (
	"crypto/x509"
	"sync"

	"github.com/xlattice/xlreg"
)

// Proven remembers which members have proved what they say of themselves. Nodes of one
// process that share one verify each member once between them, and not each for itself:
// what a signature proves does not depend on who looks at it. They share the members'
// certificates, too. The zero value is ready.
type Proven struct {
	mu     sync.Mutex
	tokens map[xlreg.NodeID]*proof // guarded by mu
}

// proof is of the last token of a node that was good.
type proof struct {
	mu   sync.Mutex
	good *proven // guarded by mu; nil: none was good so far
}

// proven is a token that was good.
type proven struct {
	token       *xlreg.Token
	certificate func() (*x509.Certificate, error) // made when it is asked for, and once
}

// of returns the proof of a node, with or without a token.
func (p *Proven) of(id xlreg.NodeID) *proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens == nil {
		p.tokens = make(map[xlreg.NodeID]*proof)
	}
	if p.tokens[id] == nil {
		p.tokens[id] = new(proof)
	}
	return p.tokens[id]
}

// check verifies a token, unless the same was good before. Those who come at the same time
// wait for the first. What it returns is nil if nothing is shared.
func (p *Proven) check(t *xlreg.Token, verify func(*xlreg.Token) error) (*proven, error) {
	if p == nil {
		return nil, verify(t)
	}
	one := p.of(t.ID)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.good != nil && sameToken(one.good.token, t) {
		return one.good, nil
	}
	if err := verify(t); err != nil {
		return nil, err
	}
	one.good = &proven{t, sync.OnceValues(func() (*x509.Certificate, error) { return certificateOf(t) })}
	return one.good, nil
}
