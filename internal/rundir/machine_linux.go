package rundir

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

func thisMachine() machine {
	host, _ := os.Hostname() // only to tell machines apart, and for people
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	return machine{Host: host, Boot: strings.TrimSpace(string(boot)), Space: space}
}

// isZombie reports whether a process has ended, and its parent has not taken note of that yet.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(stat, ')') // the name before it may be anything
	return err == nil && i >= 0 && bytes.HasPrefix(stat[i:], []byte(") Z "))
}
