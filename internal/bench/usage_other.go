//go:build !unix

package bench

import (
	"errors"
	"fmt"
	"time"
)

func processorTime() (time.Duration, error) {
	return 0, fmt.Errorf("processor time on this system: %w", errors.ErrUnsupported)
}
