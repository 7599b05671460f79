package torture

import (
	"fmt"
	"slices"

	"github.com/xlattice/xlreg"
)

// who is a node as the rules tell nodes apart inside a cluster.
type who struct {
	name xlreg.Name
	key  xlreg.SigKey
}

// occupant is what a seat shows of a node: its ID, and which of its registrations.
// The zero value is an empty seat.
type occupant struct {
	id      xlreg.NodeID
	version int
}

func (o occupant) String() string {
	if o == (occupant{}) {
		return "nobody"
	}
	return fmt.Sprintf("%.8s… in version %d", o.id.String(), o.version)
}

// unknown is an index that nobody has been told.
const unknown = -1

// place is what is known of one node in one cluster. Requests that were never
// answered leave several possibilities, until somebody looks.
type place struct {
	can   []occupant // never empty
	index int        // the seat's, if there is one; or unknown

	// What requests that were never answered may still do after those that came later, as
	// long as a part of them is on its way between several servers and their database.
	lingers bool
	late    []occupant
}

// anyVersion is that of a seat which is taken for what is registered by then.
const anyVersion = 0

func newPlace() *place { return &place{can: []occupant{{}}, index: unknown} }

// surely reports whether the place is taken, whatever happened.
func (p *place) surely() bool { return !slices.Contains(p.can, occupant{}) }

// joined is an answered Join.
func (p *place) joined(as []occupant) {
	if !p.surely() {
		p.index = unknown
	}
	p.become(slices.Clone(as))
}

// become settles what the place is, but for what may come late.
func (p *place) become(can []occupant) {
	p.can = can
	p.add(p.late...)
	if len(p.late) > 0 {
		p.index = unknown
	}
}

// linger notes what an unanswered request may do late.
func (p *place) linger(o occupant) {
	if p.lingers && !slices.Contains(p.late, o) {
		p.late = append(p.late, o)
	}
}

// allows reports whether the place may be this.
func (p *place) allows(o occupant) bool {
	return slices.ContainsFunc(p.can, func(c occupant) bool {
		return c == o || c.id == o.id && o.id != "" && c.version == anyVersion
	})
}

// joinLost is a Join that may have happened.
func (p *place) joinLost(as []occupant) {
	if !p.surely() {
		p.index = unknown
	}
	p.add(as...)
	for _, o := range as {
		p.linger(occupant{id: o.id, version: anyVersion})
	}
	p.add(p.late...)
}

// shutOut is a Join that was refused because there is no room, which is never said
// to somebody who has a seat.
func (p *place) shutOut() error {
	if p.surely() {
		return fmt.Errorf("refused a seat, but it has one: %v", p.can)
	}
	p.index = unknown
	p.become([]occupant{{}})
	return nil
}

// left is an answered Leave.
func (p *place) left(id xlreg.NodeID) error {
	if !slices.ContainsFunc(p.can, func(o occupant) bool { return o.id == id }) {
		return fmt.Errorf("left, but there was %v", p.can)
	}
	p.index = unknown
	p.become([]occupant{{}})
	return nil
}

// leaveLost is a Leave that may have happened.
func (p *place) leaveLost(id xlreg.NodeID) {
	if slices.ContainsFunc(p.can, func(o occupant) bool { return o.id == id }) {
		p.add(occupant{})
		p.linger(occupant{})
	}
}

// notMember is a Leave that was refused because the ID has no seat.
func (p *place) notMember(id xlreg.NodeID) error {
	rest := slices.DeleteFunc(slices.Clone(p.can), func(o occupant) bool { return o.id == id })
	if len(rest) == 0 {
		return fmt.Errorf("not a member, but it has a seat: %v", p.can)
	}
	p.become(rest)
	return nil
}

// seen is what a roster shows, which settles what could be.
func (p *place) seen(o occupant, index int) error {
	if !p.allows(o) {
		return fmt.Errorf("is %v, may be %v", o, p.can)
	}
	if o == (occupant{}) {
		index = unknown
	} else if p.index != unknown && p.index != index {
		return fmt.Errorf("has index %d, had %d", index, p.index)
	}
	p.index = index
	p.become([]occupant{o})
	return nil
}

func (p *place) add(as ...occupant) {
	for _, o := range as {
		if !slices.Contains(p.can, o) {
			p.can = append(p.can, o)
		}
	}
}
