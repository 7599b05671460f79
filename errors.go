package xlreg

import (
	"errors"
	"fmt"
	"time"
)

// Kind is one of the closed set of errors that a registry answers with. Its
// value is the code on the wire and its text the description, both append-only.
// A Kind is itself an error, so errors.Is(err, xlreg.ErrClusterFull) holds for
// every error of that kind, however deeply wrapped and on either end of a
// connection.
type Kind uint8

// The kinds. 1 to 10 are those of deployed peers.
const (
	ErrNoSuchClusterID   Kind = 1  // no cluster has the ID asked for
	ErrNoSuchClusterName Kind = 2  // no cluster has the name asked for
	ErrMemberIDInUse     Kind = 3  // another member of the cluster has the ID
	ErrTooFewEndpoints   Kind = 4  // the node has fewer endpoints than the cluster wants
	ErrMemberNameInUse   Kind = 5  // another member of the cluster, with another key, has the name
	ErrIDInUse           Kind = 6  // the ID proposed belongs to another key, a cluster or the registry
	ErrNoClusterNamed    Kind = 7  // neither name nor ID given, and no earlier request names one
	ErrWrongState        Kind = 8  // the message is not allowed at this point of the session
	ErrBadTag            Kind = 9  // the message is of a type that does not exist
	ErrUnexpectedType    Kind = 10 // a deployed server's word for ErrWrongState; never sent
	ErrIllFormedToken    Kind = 11 // the token breaks a limit or does not parse
	ErrBadSignature      Kind = 12 // a signature does not verify, or the node is unknown
	ErrClusterFull       Kind = 13 // every place is taken
	ErrTooManyRequests   Kind = 14 // a limit of this address is reached; Error.Retry says for how long
	ErrNotMember         Kind = 15 // leaving a cluster the node is not in
	ErrIdentityRequired  Kind = 16 // writing without having said who one is
	ErrClusterSize       Kind = 17 // raised by clients: the cluster exists with another size
	ErrTryLater          Kind = 18 // the store cannot write; Error.Retry says when to come back
	ErrProtocol          Kind = 19 // the bytes are no message
	ErrIllFormedName     Kind = 20 // the name breaks the rules for names
	ErrNotAdmitted       Kind = 21 // the cluster's owner has not let this key in, or no longer does
	ErrOrdersChanged     Kind = 22 // an order has another serial than the next; Error.Orders says how many are done
	ErrRegistryFull      Kind = 23 // there may be no more of what would be new; Error.Retry says when to ask again
	ErrKeyNotAdmitted    Kind = 24 // this registry does not take the key
)

var kindTexts = [...]string{
	ErrNoSuchClusterID:   "cannot find cluster with this ID",
	ErrNoSuchClusterName: "cannot find cluster with this name",
	ErrMemberIDInUse:     "cluster member id already in use",
	ErrTooFewEndpoints:   "cluster members must have at least one endPoint",
	ErrMemberNameInUse:   "cluster member name already in use",
	ErrIDInUse:           "ID already in use",
	ErrNoClusterNamed:    "missing cluster name or ID",
	ErrWrongState:        "invalid msg type for current state",
	ErrBadTag:            "message tag out of range",
	ErrUnexpectedType:    "unexpected message type",
	ErrIllFormedToken:    "ill-formed token",
	ErrBadSignature:      "signature does not verify",
	ErrClusterFull:       "cluster is full",
	ErrTooManyRequests:   "too many requests",
	ErrNotMember:         "not a member",
	ErrIdentityRequired:  "identity required",
	ErrClusterSize:       "cluster has another size",
	ErrTryLater:          "try again later",
	ErrProtocol:          "protocol error",
	ErrIllFormedName:     "ill-formed name",
	ErrNotAdmitted:       "admission refused",
	ErrOrdersChanged:     "orders have changed",
	ErrRegistryFull:      "registry is full",
	ErrKeyNotAdmitted:    "key is not admitted",
}

// Kinds returns every kind there is, in the order of their codes.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(kindTexts)-1)
	for k := range kindTexts[1:] {
		kinds = append(kinds, Kind(k+1))
	}
	return kinds
}

// Valid reports whether k is in the set.
func (k Kind) Valid() bool { return k > 0 && int(k) < len(kindTexts) }

// Error returns the text that travels for this kind.
func (k Kind) Error() string {
	if !k.Valid() {
		return fmt.Sprintf("error kind %d", uint8(k))
	}
	return kindTexts[k]
}

// EndsSession reports whether a registry ends a session over p when it has answered
// with an error of this kind: over a classic carrier after every error, over 2.0
// only when the two ends no longer agree on what is being said.
func (k Kind) EndsSession(p Protocol) bool {
	switch k {
	case ErrWrongState, ErrBadTag, ErrUnexpectedType, ErrProtocol:
		return true
	}
	return p.Classic()
}

// Error is a Kind with what more is known about this one case. Everything in it
// may be sent to a peer, so an internal cause never goes into Detail.
type Error struct {
	Kind   Kind
	Detail string        // one phrase, or empty
	Retry  time.Duration // when to try again, or 0
	Orders uint64        // of an ErrOrdersChanged, how many orders have been done
}

// Errorf returns an Error of kind k whose detail is the formatted text.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// Error returns the kind's text and, after a colon, the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Kind.Error()
	}
	return e.Kind.Error() + ": " + e.Detail
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// KindOf returns the kind of err, and false if err has none.
func KindOf(err error) (Kind, bool) {
	var k Kind
	ok := errors.As(err, &k)
	return k, ok
}

// RetryAfter returns the time that err says to wait before trying again, or 0.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.Retry
	}
	return 0
}

// Errors that never travel.
var (
	// ErrBadID says that some bytes or hex digits are no ID.
	ErrBadID = errors.New("ill-formed ID")
	// ErrBadKey says that some bytes are no public key of a kind and size that is allowed.
	ErrBadKey = errors.New("ill-formed public key")
)
