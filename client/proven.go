package client

import (
	"sync"

	"github.com/xlattice/xlreg"
)

// Proven remembers which members have proved what they say of themselves. Nodes of one
// process that share one verify each member once between them, and not each for itself:
// what a signature proves does not depend on who looks at it. The zero value is ready.
type Proven struct {
	mu     sync.Mutex
	tokens map[xlreg.NodeID]*proof // guarded by mu
}

// proof is of the last token of a node that was good.
type proof struct {
	mu    sync.Mutex
	token *xlreg.Token // guarded by mu; nil: none was good so far
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
// wait for the first.
func (p *Proven) check(t *xlreg.Token, verify func(*xlreg.Token) error) error {
	if p == nil {
		return verify(t)
	}
	one := p.of(t.ID)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.token != nil && sameToken(one.token, t) {
		return nil
	}
	if err := verify(t); err != nil {
		return err
	}
	one.token = t
	return nil
}
