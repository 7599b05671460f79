package proc

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
)

// All returns the IDs of all that there are.
func All() []int {
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

// Stat is what is known of a process.
type Stat struct {
	State         byte // 'T' is stopped, 'Z' dead; see proc_pid_stat(5)
	Parent, Group int
}

// Look looks at a process. The name before all that is in parentheses, and may have
// some itself.
func Look(pid int) (s Stat, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, false
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 3 {
		return s, false
	}
	var errParent, errGroup error
	s.State = fields[0][0]
	s.Parent, errParent = strconv.Atoi(string(fields[1]))
	s.Group, errGroup = strconv.Atoi(string(fields[2]))
	return s, errParent == nil && errGroup == nil
}

// Lives reports whether there is a process that is not dead already and only waits for
// its parent to notice.
func Lives(pid int) bool {
	stat, ok := Look(pid)
	return ok && stat.State != 'Z' && stat.State != 'X'
}

// Name is what a process is called: after its executable, and after what it was
// started as, which for a script is the script.
type Name struct{ exe, comm string }

// NameOf looks up what a process is called.
func NameOf(pid int) Name {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return Name{
		exe:  path.Base(strings.TrimSuffix(exe, " (deleted)")),
		comm: strings.TrimSuffix(string(comm), "\n"),
	}
}

// commLength is how much of a name the system keeps.
const commLength = 15

// Is reports whether name is one of the two.
func (n Name) Is(name string) bool {
	return name == n.exe || name[:min(len(name), commLength)] == n.comm
}
