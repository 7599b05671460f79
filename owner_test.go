package xlreg_test

import (
	"testing"

	"github.com/xlattice/xlreg"
)

func TestOrderKinds(t *testing.T) {
	// The numbers are those of the protocol.
	for number, want := range map[int]string{
		0: "unknown order", 1: "evict", 2: "ban", 3: "revoke", 4: "reopen", 5: "delete", 6: "unknown order",
	} {
		if got := xlreg.OrderKind(number).String(); got != want {
			t.Errorf("%d is %q, want %q", number, got, want)
		}
	}
}

func TestInviteIsZero(t *testing.T) {
	if !new(xlreg.Invite).IsZero() || (&xlreg.Invite{Key: "k"}).IsZero() {
		t.Error("an invite is its key")
	}
	if !new(xlreg.Admission).Invite.IsZero() {
		t.Error("an admission begins with an invite")
	}
}
