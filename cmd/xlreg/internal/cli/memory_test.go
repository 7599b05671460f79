package cli

import (
	"math"
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const machine = "MemTotal:        8388608 kB\nMemFree: 1 kB\n" // 8 GiB
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		env   int64
		want  int64
		by    string
	}{
		"nothing is known": {fstest.MapFS{}, math.MaxInt64, 0, ""},
		"the machine":      {fstest.MapFS{"proc/meminfo": file(machine)}, math.MaxInt64, 8 << 30, "memory of the machine"},
		"GOMEMLIMIT":       {fstest.MapFS{"proc/meminfo": file(machine)}, 1 << 30, 1 << 30, "GOMEMLIMIT"},
		"version 2": {fstest.MapFS{
			"proc/meminfo": file(machine), "proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.max": file("536870912\n"),
		}, math.MaxInt64, 512 << 20, "/sys/fs/cgroup/a/memory.max"},
		"version 2, in a container": {fstest.MapFS{
			"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("536870912\n"),
		}, math.MaxInt64, 512 << 20, "/sys/fs/cgroup/memory.max"},
		"version 1": {fstest.MapFS{
			"proc/meminfo": file(machine), "proc/self/cgroup": file("5:cpu:/x\n4:hugetlb,memory:/a\n0::/\n"),
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("268435456\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   file("9223372036854771712\n"),
		}, math.MaxInt64, 256 << 20, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"},
		"version 1, in a container": {fstest.MapFS{
			"proc/self/cgroup": file("4:memory:/docker/x\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("268435456\n"),
		}, math.MaxInt64, 256 << 20, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		"odd files": {fstest.MapFS{
			"proc/meminfo": file("MemTotal: much kB\nMemTotal\n"), "proc/self/cgroup": file("0:\n\n0::../..\n"),
		}, math.MaxInt64, 0, ""},
	} {
		if got, by := memoryLimit(c.files, c.env); got != c.want || by != c.by {
			t.Errorf("%s: %d by %q, want %d by %q", name, got, by, c.want, c.by)
		}
	}
}
