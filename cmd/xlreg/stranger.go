package main

import (
	"sync"

	"github.com/xlattice/xlreg"
)

// strangerNews tells that somebody else answers at the registry's address, and that the
// registry is back, while members of this process follow their cluster. Several members find
// it out one after the other, and it is told once.
type strangerNews struct {
	*globals
	who     xlreg.Name // the member that follows; empty: several do
	cluster xlreg.Name // which they follow, as soon as it is known

	mu  sync.Mutex
	met int // guarded by mu; how many members wait for the registry to be back
}

// stranger is for client.FormOptions.Stranger.
func (n *strangerNews) stranger(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case err == nil && n.met > 0:
		if n.met--; n.met == 0 {
			n.tellBack()
		}
	case err != nil:
		if n.met++; n.met == 1 {
			n.warn("somebody else answers at the registry's address, and %s now and then: %s",
				n.does("looks for the registry there", "look for the registry there"), oneLine(err))
		}
	}
}

// back says that the registry is back to a member that may not have met a stranger.
func (n *strangerNews) back() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.met = 0
	n.tellBack()
}

func (n *strangerNews) tellBack() {
	n.note("the registry is back, and %s %s again", n.does("follows", "follow"), n.cluster)
}

func (n *strangerNews) does(one, many string) string {
	if n.who == "" {
		return "the members " + many
	}
	return string(n.who) + " " + one
}
