//go:build !unix

package launch

import "errors"

// errNotHere says that there are no process groups to run programs in.
var errNotHere = errors.New("programs are run on Unix only: take the files and --format, and start them yourself")

// Run runs programs on Unix only.
func Run([]Program, Options) error { return errNotHere }

// Shim is for Unix only.
func Shim([]string) error { return errNotHere }
