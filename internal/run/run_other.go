//go:build !unix

package run

// All runs programs on Unix only.
func All([]Program, Options) error { return ErrUnixOnly }

// Shim is for Unix only.
func Shim([]string) error { return ErrUnixOnly }
