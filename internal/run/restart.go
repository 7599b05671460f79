package run

import "time"

// The pauses before a program that has failed is started again.
const (
	shortestBackoff = 100 * time.Millisecond
	longestBackoff  = 10 * time.Second
	steadyTime      = 10 * time.Second // after so long, a failure counts as the first in a row again
)

// backoff counts the failures of a program.
type backoff struct {
	most int // in a row; 0 is without end
	row  int
}

// next returns the pause after a failure of a program that was ready for some time, and
// whether to start it again at all.
func (b *backoff) next(steady time.Duration) (time.Duration, bool) {
	if steady >= steadyTime {
		b.row = 0
	}
	if b.most > 0 && b.row >= b.most {
		return 0, false
	}
	b.row++
	pause := shortestBackoff
	for range min(b.row-1, 10) {
		pause *= 2
	}
	return min(pause, longestBackoff), true
}
