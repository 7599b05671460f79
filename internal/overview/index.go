package overview

import (
	"math"

	"github.com/tidwall/btree"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// tree is entries in one order.
type tree = btree.BTreeG[*entry]

func newTree(less func(a, b *entry) bool) *tree {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

func lessID(a, b *entry) bool { return a.id() < b.id() }

// lessNewest puts the cluster that was created last first.
func lessNewest(a, b *entry) bool {
	if a.created != b.created {
		return a.created > b.created
	}
	return lessID(a, b)
}

func lessName(a, b *entry) bool {
	if a.name() != b.name() {
		return a.name() < b.name()
	}
	return lessID(a, b)
}

// orders is some clusters in every order in which they are listed.
type orders struct{ newest, byName *tree }

func newOrders() orders { return orders{newTree(lessNewest), newTree(lessName)} }

func (o *orders) len() int { return o.newest.Len() }

func (o *orders) of(order api.Order) *tree {
	if order == api.OrderName {
		return o.byName
	}
	return o.newest
}

func (o *orders) set(e *entry) {
	o.newest.Set(e)
	o.byName.Set(e)
}

func (o *orders) remove(e *entry) {
	o.newest.Delete(e)
	o.byName.Delete(e)
}

// index finds clusters by ID, and lists all of them and those in each state.
type index struct {
	byID *tree
	all  orders
	in   [states]orders

	members int // of all clusters
}

func newIndex() index {
	x := index{byID: newTree(lessID), all: newOrders()}
	for i := range x.in {
		x.in[i] = newOrders()
	}
	return x
}

// find returns the entry with an ID, or nil.
func (x *index) find(id string) *entry {
	if len(id) > math.MaxUint8 {
		return nil
	}
	e, _ := x.byID.Get(&entry{text: id, idLen: uint8(len(id))})
	return e
}

// put puts made in the place of was, which is nil for a new cluster, and returns the entry
// that there is now. As long as a cluster stays where it is in every list, as it does for
// most of its changes, its entry is changed and not the lists.
func (x *index) put(was, made *entry) *entry {
	x.members += int(made.members)
	if was != nil {
		x.members -= int(was.members)
		if was.state == made.state && was.created == made.created && was.name() == made.name() {
			*was = *made
			return was
		}
		x.unlist(was)
	}
	x.byID.Set(made)
	x.all.set(made)
	x.in[made.state].set(made)
	return made
}

func (x *index) remove(e *entry) {
	x.members -= int(e.members)
	x.unlist(e)
}

func (x *index) unlist(e *entry) {
	x.byID.Delete(e)
	x.all.remove(e)
	x.in[e.state].remove(e)
}

func (x *index) each(f func(*entry)) {
	x.byID.Scan(func(e *entry) bool {
		f(e)
		return true
	})
}
