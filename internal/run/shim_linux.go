package run

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes the shim the parent of whatever below it loses its own, also
// of what has left the program's group.
func adoptOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// groupOfItsOwn also lets the program die with the shim.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// strays returns the shim's children that have left the group.
func strays(group int) []int {
	var found []int
	for _, pid := range allProcesses() {
		if s, ok := readStat(pid); ok && s.parent == os.Getpid() && s.group != group {
			found = append(found, pid)
		}
	}
	return found
}

// stat is what is known of a process.
type stat struct {
	state         byte
	parent, group int
}

// readStat looks at a process. The name before all that is in parentheses, and may have
// some itself.
func readStat(pid int) (s stat, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, false
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 3 {
		return s, false
	}
	var errParent, errGroup error
	s.state = fields[0][0]
	s.parent, errParent = strconv.Atoi(string(fields[1]))
	s.group, errGroup = strconv.Atoi(string(fields[2]))
	return s, errParent == nil && errGroup == nil
}
