//go:build !linux

package notify

import "errors"

// monotonicUsec is for service managers that are on Linux alone.
func monotonicUsec() (int64, error) { return 0, errors.ErrUnsupported }
