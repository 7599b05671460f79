package server

import (
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
)

// End is why a session ended.
type End int

// The ends.
const (
	EndOther    End = iota // such as a connection that broke
	EndBye                 // the peer said so
	EndHungUp              // the peer closed the connection without a word
	EndIdle                // the peer said nothing for too long
	EndProtocol            // the peer's bytes were no message, or came too slowly
	EndRefused             // an error was answered that ends the session
	EndStopping            // the server stops, or takes no sessions any more
	EndFault               // a fault of ours

	endCount = int(EndFault) + 1
)

var endNames = [endCount]string{"other", "bye", "hung_up", "idle", "protocol", "refused", "stopping", "fault"}

// String returns the end's name, as metrics have it.
func (e End) String() string {
	if e < 0 || int(e) >= endCount {
		return fmt.Sprintf("End(%d)", int(e))
	}
	return endNames[e]
}

// Ends returns all ends.
func Ends() []End {
	ends := make([]End, endCount)
	for i := range ends {
		ends[i] = End(i)
	}
	return ends
}

// endOf tells why a session ended from the error that it ended with.
func endOf(err error) End {
	switch {
	case errors.Is(err, errBye):
		return EndBye
	case errors.Is(err, errPanicked):
		return EndFault
	case errors.Is(err, errStopping):
		return EndStopping
	case errors.Is(err, session.ErrIdle):
		return EndIdle
	case errors.Is(err, xlreg.ErrProtocol), errors.Is(err, session.ErrPartial):
		return EndProtocol
	case errors.Is(err, session.ErrClosed):
		return EndHungUp
	}
	if _, ok := xlreg.KindOf(err); ok {
		return EndRefused
	}
	return EndOther
}
