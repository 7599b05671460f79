package wire

import (
	"errors"

	"github.com/xlattice/xlreg"
)

// fatal are the kinds of error after which a registry ends a 2.0 session (section 5.10
// of the protocol). Over a classic carrier every error ends it.
var fatal = []xlreg.Kind{xlreg.ErrWrongState, xlreg.ErrBadTag, xlreg.ErrUnexpectedType, xlreg.ErrProtocol}

// EndsSession reports whether a session over p is over once the registry has
// answered with err.
func EndsSession(err error, p xlreg.Protocol) bool {
	if p.Classic() {
		return true
	}
	for _, kind := range fatal {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
