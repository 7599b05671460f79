package shim

import (
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/xlattice/xlreg/internal/run/proc"
)

// adoptOrphans makes the shim the parent of whatever below it loses its own, also
// of what has left the program's group.
func adoptOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// groupOfItsOwn also lets the program die with the shim.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// strays returns the shim's children that have left the group. Most shims have no children
// once their program has ended, and then need not look at every process of the machine.
func strays(group int) []int {
	if isChildless() {
		return nil
	}
	var found []int
	for _, pid := range proc.All() {
		if s, ok := proc.Look(pid); ok && s.Parent == os.Getpid() && s.Group != group {
			found = append(found, pid)
		}
	}
	return found
}

// isChildless reports whether this process is known to have no children. The system keeps
// them by thread, and not every one tells. A list that is read while a child ends may lack
// another one, but is not empty then.
func isChildless() bool {
	const threads = "/proc/self/task"
	entries, err := os.ReadDir(threads)
	if err != nil {
		return false
	}
	for _, thread := range entries {
		children, err := os.ReadFile(path.Join(threads, thread.Name(), "children"))
		if err != nil || len(children) > 0 {
			return false
		}
	}
	return true
}
