//go:build !unix

package run

import (
	"context"
	"time"
)

// All runs programs on Unix only.
func All([]Program, Options) error { return ErrUnixOnly }

// Once runs programs on Unix only.
func Once(context.Context, Program, Options) error { return ErrUnixOnly }

// TempDir is a temporary directory of programs that run.
type TempDir struct{}

// NewTempDir makes one on Unix only.
func NewTempDir(string, Options) (*TempDir, error) { return nil, ErrUnixOnly }

// Path returns nothing.
func (*TempDir) Path() string { return "" }

// Close does nothing.
func (*TempDir) Close() error { return nil }

// TempDirs finds none.
func TempDirs(string) ([]string, error) { return nil, nil }

// Leftovers are none.
func Leftovers(string) []int { return nil }

// EndLeftovers does nothing.
func EndLeftovers(string, time.Duration) error { return nil }

// EndOrphans does nothing, either.
func EndOrphans(string) bool { return false }
