//go:build unix && !linux

package shim

import "syscall"

// Only Linux lets a process adopt orphans: on other systems, what leaves the program's
// group is out of reach.
func adoptOrphans() {}

func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func strays(int) []int { return nil }
