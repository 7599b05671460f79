package cli

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// MemoryLimit returns how many bytes of memory the program may use, and what says so:
// its control group, GOMEMLIMIT, or how much the machine has, whichever is least. It
// is 0 where nothing is known.
func MemoryLimit() (limit int64, by string) {
	return memoryLimit(os.DirFS("/"), debug.SetMemoryLimit(-1))
}

// memoryLimit reads below root what Linux says; elsewhere those files do not exist.
func memoryLimit(root fs.FS, goLimit int64) (limit int64, by string) {
	limit = math.MaxInt64
	least := func(n int64, what string) {
		if n > 0 && n < limit {
			limit, by = n, what
		}
	}
	least(machineMemory(root), "memory of the machine")
	for _, file := range cgroupFiles(root) {
		least(readNumber(root, file), "/"+file)
	}
	least(goLimit, "GOMEMLIMIT")
	if limit == math.MaxInt64 { // which is how Go says that GOMEMLIMIT is not set
		return 0, ""
	}
	return limit, by
}

// cgroupFiles returns the files with the limits of the program's control groups and of
// those above them, for both versions of control groups. A container may see its own
// as the topmost.
func cgroupFiles(root fs.FS) []string {
	list, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var files []string
	for line := range strings.Lines(string(list)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			files = append(files, upwards("sys/fs/cgroup", parts[2], "memory.max")...)
		case strings.Contains(","+parts[1]+",", ",memory,"):
			files = append(files, upwards("sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")...)
		}
	}
	return files
}

// upwards returns the file of that name in the group and in each above it.
func upwards(mount, group, name string) []string {
	var files []string
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		files = append(files, path.Join(mount, group, name))
		if group == "/" {
			return files
		}
	}
}

// readNumber returns the number in a file, and 0 if there is none.
func readNumber(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0 // such as max
	}
	return n
}

func machineMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64) // 0 if it is no number
			return kib << 10
		}
	}
	return 0
}
