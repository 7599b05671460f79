package rundir

import (
	"os"
	"strings"
)

func thisMachine() machine {
	host, _ := os.Hostname() // only to tell machines apart, and for people
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	return machine{Host: host, Boot: strings.TrimSpace(string(boot)), Space: space}
}
