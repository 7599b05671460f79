//go:build !unix

package shim

import "errors"

// Run is for Unix only.
func Run([]string) error { return errors.New("programs are run on Unix only") }
