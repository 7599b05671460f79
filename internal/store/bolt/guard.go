package bolt

import (
	"fmt"
	"runtime/debug"
)

// guarded calls f, and returns what it panics with as an ErrDamaged. bbolt panics
// over pages that make no sense, and a page that is not there any more is a fault in
// the mapped memory, which otherwise ends the process. f must be bbolt's code alone.
func guarded(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, fault)
		}
	}()
	f()
	return nil
}
