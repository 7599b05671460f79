package guard

import "time"

// mostSources is how many sources are looked at to find the one that uses most. If there
// are more, chance says which.
const mostSources = 10_000

// Use is how much of a limit the source uses that uses most of it.
type Use struct {
	By   Source
	Used int // 0 if nobody uses any
}

// String returns a source as people know it: an address, or a network of IPv6.
func (s Source) String() string {
	if s.prefix.IsSingleIP() {
		return s.prefix.Addr().String()
	}
	if !s.prefix.IsValid() {
		return ""
	}
	return s.prefix.String()
}

// uses are the greatest uses of loopback addresses and of others.
type uses struct{ loopback, others Use }

func (u *uses) add(from Source, used int) {
	most := &u.others
	if from.loopback {
		most = &u.loopback
	}
	if used > most.Used {
		*most = Use{from, used}
	}
}

// Usage returns how many connections there are, and those of the loopback address and of
// the other source that have most.
func (a *Admission) Usage() (total int, loopback, others Use) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var most uses
	left := mostSources
	for from, n := range a.open.bySource {
		if left--; left < 0 {
			break
		}
		most.add(from, n)
	}
	return a.open.total, most.loopback, most.others
}

// Usage returns how much of what may be had in a minute is used at the moment: by all
// sources but loopback together, if that has a bound, and by the loopback address and the
// other source that use most. What may be had is used up when it is that of the Rate.
func (q *Quota) Usage(now time.Time) (total int, loopback, others Use) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.total.Load(); l != nil {
		total = used(l.TokensAt(now), l.Burst(), q.rate.Total)
	}
	var most uses
	left := mostSources
	for from, l := range q.bySource {
		if left--; left < 0 {
			break
		}
		perMinute := q.rate.Source
		if from.loopback {
			perMinute = q.rate.Loopback
		}
		most.add(from, used(l.TokensAt(now), l.Burst(), perMinute))
	}
	return total, most.loopback, most.others
}

// used returns what is missing of a burst, as the same share of what there is in a minute.
func used(tokens float64, burst, perMinute int) int {
	missing := max(0, float64(burst)-tokens)
	return int(missing * float64(perMinute) / float64(max(1, burst)))
}
