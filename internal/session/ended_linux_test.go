package session

import (
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// A peer that has gone is missed although it had asked for more than is read ahead.
func TestFullHoldOfAPeerThatIsGone(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		server, client := pair(t, tcp, p)
		held := make(chan error, 1)
		go func() { held <- server.Hold(t.Context()) }()
		for range 3 {
			if err := client.Send(t.Context(), ofSize(t, MaxClassicText(xlreg.Protocol19))); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-held:
			t.Fatalf("hold, while the peer is there: %v", err)
		case <-time.After(lookEvery + lookEvery/2):
		}
		client.Close()
		if err := <-held; !errors.Is(err, ErrClosed) {
			t.Errorf("hold: %v", err)
		}
	})
}
