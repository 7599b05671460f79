package original

import (
	"slices"
	"sync"
)

const (
	idLen       = 20
	smallest    = 2
	largest     = 64
	unnamed     = "xlCluster" // what a cluster without a name is called
	mostMembers = 64          // as many as Which has bits
)

// cluster is a cluster. Its size is told to those who ask and holds nobody off.
type cluster struct {
	name            string
	id              []byte
	size, endPoints uint64
	members         []member // guarded by the book's lock
}

// member is who has said Member, and their token as others see it.
type member struct {
	name  string
	token []byte
}

// book is what a server knows.
type book struct {
	loseRaces bool

	mu     sync.Mutex
	byName map[string]*cluster // guarded by mu
	byID   map[string]*cluster // guarded by mu
}

// create returns the cluster of a name, or makes it. A name is looked up as it was
// sent, and an empty one is kept as another, so the second cluster without a name
// finds that name taken.
func (b *book) create(name string, size, endPoints uint64) (*cluster, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.byName[name]; c != nil {
		return c, nil
	}
	if endPoints < 1 {
		return nil, errNoEndpoint
	}
	if name == "" {
		name = unnamed
	}
	if b.byName[name] != nil {
		return nil, errName
	}
	c := &cluster{name: name, id: newID(), size: min(max(size, smallest), largest), endPoints: endPoints}
	b.byName[name], b.byID[string(c.id)] = c, c
	if b.loseRaces {
		return nil, errName
	}
	return c, nil
}

func (b *book) find(id []byte) (*cluster, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.byID[string(id)]
	if c == nil {
		return nil, errNoID(id)
	}
	return c, nil
}

func (b *book) findName(name string) (*cluster, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.byName[name]
	if c == nil {
		return nil, errNoName
	}
	return c, nil
}

// join adds a member. A name that is taken stays with the member that has it, and a second
// member with that name is not told.
func (b *book) join(c *cluster, m member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(c.members, func(other member) bool { return other.name == m.name }) {
		c.members = append(c.members, m)
	}
}

// members returns the tokens of those members that which has bits for, and their bits.
func (b *book) members(c *cluster, which uint64) (found uint64, tokens [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, m := range c.members[:min(len(c.members), mostMembers)] {
		if which>>i&1 == 1 {
			found |= 1 << i
			tokens = append(tokens, m.token)
		}
	}
	return found, tokens
}

func newID() []byte { return random(idLen) }
