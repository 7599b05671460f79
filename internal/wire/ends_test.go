package wire

import (
	"fmt"
	"testing"

	"github.com/xlattice/xlreg"
)

// The codes 8, 9, 10 and 19 end a 2.0 session; over a classic carrier all do.
func TestEndsSession(t *testing.T) {
	ends := map[error]bool{
		xlreg.ErrWrongState: true, xlreg.ErrBadTag: true, xlreg.ErrUnexpectedType: true, xlreg.ErrProtocol: true,
		xlreg.ErrClusterFull: false, xlreg.ErrTryLater: false, xlreg.ErrNotMember: false,
	}
	for err, want := range ends {
		err := fmt.Errorf("x: %w", err)
		if got := EndsSession(err, xlreg.Protocol20); got != want {
			t.Errorf("%v over 2.0: %v", err, got)
		}
		for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
			if !EndsSession(err, p) {
				t.Errorf("%v over %v does not end the session", err, p)
			}
		}
	}
}
