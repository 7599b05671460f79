//go:build unix && !linux

package run

import "syscall"

// Only Linux lets a process adopt orphans: on other systems, what leaves the program's
// group is out of reach.
func adoptOrphans() {}

func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func strays(int) []int { return nil }

// processName is unknown.
type processName struct{}

func nameOf(int) processName { return processName{} }

func (processName) is(string) bool { return false }

func sweep(string, []string) {}
