package lifecmd

import (
	"fmt"

	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/launch"
)

// leftovers returns the mark of a run that was killed, and the processes that are left of it:
// those of a run that was killed with all its shims, until somebody ends them.
func (p *place) leftovers() (mark string, left []int) {
	if mark = rundir.Killed(p.dir); mark == "" {
		return "", nil
	}
	return mark, run.Leftovers(mark)
}

// tellLeftovers adds to the error that there is no run what is left of it.
func (p *place) tellLeftovers(noRun error) error {
	_, left := p.leftovers()
	if len(left) == 0 {
		return noRun
	}
	return fmt.Errorf("%w; it has left processes behind (%d): end them with 'xlreg stop --dir %s'", noRun, len(left), launch.Quote(p.dir))
}

// endLeftovers ends what is left of a run that was killed, and reports whether there was
// anything.
func (p *place) endLeftovers() (bool, error) {
	mark, left := p.leftovers()
	if len(left) == 0 {
		return false, nil
	}
	if err := run.EndLeftovers(mark, run.DefaultGrace); err != nil {
		return true, err
	}
	return true, p.say("the run was killed before, and what was left of it has ended")
}
