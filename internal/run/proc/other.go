//go:build !linux

package proc

import "time"

// Name is unknown.
type Name struct{}

// NameOf knows no names.
func NameOf(int) Name { return Name{} }

// Is reports false.
func (Name) Is(string) bool { return false }

// Sweep finds nothing: other systems do not show the environment of processes.
func Sweep(string, []string) {}

// Outlive finds nothing, either.
func Outlive(string, time.Time) {}

// Leftovers finds nothing, either.
func Leftovers(string) []int { return nil }

// Self returns path: there is no other way to this program.
func Self(path string) string { return path }

// EndLeftovers finds nothing to end.
func EndLeftovers(string, time.Time) error { return nil }
