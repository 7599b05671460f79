package registry

import "github.com/xlattice/xlreg/internal/records"

// Counted returns what is kept, when that has been counted.
func (r *Registry) Counted() records.Totals {
	<-r.counted
	return r.totals.get()
}

// StockTaken returns when the leases from before the start are known.
func (r *Registry) StockTaken() { <-r.stocked }

// Leases returns how many seats may end, as far as is known.
func (r *Registry) Leases() int {
	r.leases.mu.Lock()
	defer r.leases.mu.Unlock()
	return len(r.leases.seats)
}

// Tell is tell, for measuring it.
func (r *Registry) Tell(by Actor, kind EventKind, c *records.Cluster, s *records.Seat) {
	r.tell(by, kind, c, s)
}
