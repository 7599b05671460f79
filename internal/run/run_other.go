//go:build !unix

package run

import "context"

// All runs programs on Unix only.
func All([]Program, Options) error { return ErrUnixOnly }

// Once runs programs on Unix only.
func Once(context.Context, Program, Options) error { return ErrUnixOnly }

// Shim is for Unix only.
func Shim([]string) error { return ErrUnixOnly }
