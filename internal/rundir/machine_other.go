//go:build !linux

package rundir

import "os"

func thisMachine() machine {
	host, _ := os.Hostname() // only to tell machines apart, and for people
	return machine{Host: host}
}

// isZombie cannot be told here.
func isZombie(int) bool { return false }
