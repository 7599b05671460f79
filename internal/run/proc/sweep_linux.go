package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// errCannotEnd says that processes hang in the kernel, or belong to another user.
var errCannotEnd = errors.New("processes cannot be killed")

// sweepRounds bounds how often sweep looks again, for processes that start others while
// they are killed.
const sweepRounds = 100

// Sweep kills the processes of a run whose shim is gone, wherever they are now, but not
// those that are shared. Their shim was killed, and they belong to nobody.
func Sweep(mark string, shared []string) {
	for range sweepRounds {
		if killed, _ := sweepOnce(mark, shared); !killed {
			return
		}
		<-time.After(time.Millisecond) // the dead take a moment to disappear
	}
}

// sweepOnce reports whether it has killed any, and whether there are others whose shim lives.
func sweepOnce(mark string, shared []string) (killed, others bool) {
	for _, pid := range All() {
		shim, ok := shimOf(pid, mark)
		switch {
		case !ok:
		case Lives(shim):
			others = true
		case !slices.ContainsFunc(shared, NameOf(pid).Is):
			killed = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return killed, others
}

// The pauses of Outlive.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// Outlive sweeps until no process of the run is left, or until limit. Every shim that is orphaned
// does so: to leave something behind, somebody would have to kill all of them.
func Outlive(mark string, limit time.Time) {
	for pause := firstPause; time.Now().Before(limit); pause = min(2*pause, longestPause) {
		killed, others := sweepOnce(mark, nil)
		if !killed && !others {
			return
		}
		<-time.After(pause)
	}
}

// Leftovers returns the processes with a mark, whether a shim looks after them or not.
func Leftovers(mark string) []int {
	return slices.DeleteFunc(All(), func(pid int) bool {
		_, ok := shimOf(pid, mark)
		return !ok
	})
}

// EndLeftovers ends all processes with a mark whose starter was killed. Those that still have
// a shim have until limit to end as it tells them to.
func EndLeftovers(mark string, limit time.Time) error {
	Outlive(mark, limit)
	for range sweepRounds {
		left := Leftovers(mark)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-time.After(firstPause)
	}
	return fmt.Errorf("%w: %v", errCannotEnd, Leftovers(mark))
}

// shimOf returns the ID of the shim of a process of a run.
func shimOf(pid int, mark string) (int, bool) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return 0, false // gone, or another user's
	}
	prefix := []byte(markName + "=" + mark + ".")
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if number, ok := bytes.CutPrefix(v, prefix); ok {
			shim, err := strconv.Atoi(string(number))
			return shim, err == nil
		}
	}
	return 0, false
}
