//go:build !linux

package bench

import (
	"errors"
	"fmt"
)

func anonymousMemory() (int64, error) {
	return 0, fmt.Errorf("resident memory on this system: %w", errors.ErrUnsupported)
}
