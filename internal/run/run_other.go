//go:build !unix

package run

import "context"

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

// HandOver does nothing.
func (*TempDir) HandOver() error { return nil }

// Close does nothing.
func (*TempDir) Close() error { return nil }

// Shim is for Unix only.
func Shim([]string) error { return ErrUnixOnly }
