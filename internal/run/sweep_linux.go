package run

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sweepRounds bounds how often sweep looks again, for processes that start others while
// they are killed.
const sweepRounds = 100

// sweep kills the processes of a run whose shim is gone, wherever they are now, but not
// those that are shared. Their shim was killed, and they belong to nobody.
func sweep(mark string, shared []string) {
	for range sweepRounds {
		if killed, _ := sweepOnce(mark, shared); !killed {
			return
		}
		<-time.After(time.Millisecond) // the dead take a moment to disappear
	}
}

// sweepOnce also reports whether it has killed any, and whether other shims still have
// theirs.
func sweepOnce(mark string, shared []string) (killed, others bool) {
	for _, pid := range allProcesses() {
		shim, ok := shimOf(pid, mark)
		switch {
		case !ok:
		case lives(shim):
			others = true
		case !slices.ContainsFunc(shared, nameOf(pid).is):
			killed = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return killed, others
}

// outlive sweeps until no process of the run is left. Whoever kills its shims one by one
// has to kill the last of them before that has done so.
func outlive(mark string, limit time.Time) {
	for pause := stillThere; time.Now().Before(limit); pause = min(2*pause, longestPause) {
		killed, others := sweepOnce(mark, nil)
		if !killed && !others {
			return
		}
		<-time.After(pause)
	}
}

// allProcesses returns the IDs of all that there are.
func allProcesses() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what was read so far is better than nothing
	var all []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			all = append(all, pid)
		}
	}
	return all
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

// lives reports whether there is a process that is not dead already and only waits for
// its parent to notice.
func lives(pid int) bool {
	stat, ok := readStat(pid)
	return ok && stat.state != 'Z' && stat.state != 'X'
}

// processName is what a process is called: after its executable, and after what it was
// started as, which for a script is the script.
type processName struct{ exe, comm string }

func nameOf(pid int) processName {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return processName{
		exe:  filepath.Base(strings.TrimSuffix(exe, " (deleted)")),
		comm: strings.TrimSuffix(string(comm), "\n"),
	}
}

// commLength is how much of a name the system keeps.
const commLength = 15

func (n processName) is(name string) bool {
	return name == n.exe || name[:min(len(name), commLength)] == n.comm
}
