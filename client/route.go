package client

import (
	"slices"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
)

// shortestAvoidance is how long an endpoint that has failed is tried last. A registry that is
// started again one server at a time has the next one back by then.
const shortestAvoidance = 10 * time.Second

// route says which endpoints of a registry to try first. The servers behind them are one
// registry, so any of them will do: the order is random, which spreads clients over the
// servers. Those that have just failed this client come last.
type route struct {
	shuffle func(n int, swap func(i, j int))

	mu      sync.Mutex
	all     []xlreg.Endpoint          // guarded by mu, as is all below: those of the last order
	avoided map[xlreg.Endpoint]detour // that have failed
	turned  bool                      // one has, since another was last called
}

// detour is how long an endpoint is avoided.
type detour struct {
	until time.Time
	told  time.Duration // after which the server said to come back; 0 if it did not
}

func newRoute(shuffle func(n int, swap func(i, j int))) *route {
	return &route{shuffle: shuffle, avoided: make(map[xlreg.Endpoint]detour)}
}

// order returns the endpoints in the order in which to try them.
func (r *route) order(endpoints []xlreg.Endpoint) []xlreg.Endpoint {
	order := slices.Clone(endpoints)
	r.shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = endpoints
	r.expire()
	slices.SortStableFunc(order, func(a, b xlreg.Endpoint) int { return r.rank(a) - r.rank(b) })
	return order
}

// rank is 0 for an endpoint that is as good as any, and 1 for one to try last. The caller
// holds mu.
func (r *route) rank(e xlreg.Endpoint) int {
	if _, avoided := r.avoided[e]; avoided {
		return 1
	}
	return 0
}

func (r *route) expire() {
	now := time.Now()
	for e, d := range r.avoided {
		if !now.Before(d.until) {
			delete(r.avoided, e)
		}
	}
}

// pass notes that an endpoint could not be reached, or not as soon as another.
func (r *route) pass(e xlreg.Endpoint) { r.avoid(e, 0) }

// leave notes that the server at an endpoint has ended or refused a session, and after what
// time it said to come back, if it did.
func (r *route) leave(e xlreg.Endpoint, told time.Duration) {
	r.avoid(e, min(told, longestRetry))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turned = true
}

func (r *route) avoid(e xlreg.Endpoint, told time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.avoided[e] = detour{until: time.Now().Add(max(shortestAvoidance, told)), told: told}
}

// another is asked after an attempt that has failed. It reports whether to go on with another
// endpoint at once, because a server has turned this client away and there is one left that
// has not. If all have, they are all as good as any again, and it returns the shortest time
// after which one said to come back.
func (r *route) another() (atOnce bool, told time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	turned := r.turned
	r.turned = false
	r.expire()
	if !turned || slices.ContainsFunc(r.all, func(e xlreg.Endpoint) bool { return r.rank(e) == 0 }) {
		return turned, 0
	}
	for _, d := range r.avoided {
		if d.told > 0 && (told == 0 || d.told < told) {
			told = d.told
		}
	}
	clear(r.avoided)
	return false, told
}
