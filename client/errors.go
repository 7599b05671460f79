package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
)

var (
	// ErrUntrusted says that a registry could not prove that it is the one wanted.
	ErrUntrusted = session.ErrUntrusted
	// ErrClock says that the registry's certificate is signed by the right key, but not
	// valid at the time that this machine has. The error says by how much.
	ErrClock = session.ErrClock
	// ErrHandshake says that no session could be opened: the other end is not a registry,
	// does not speak the protocol chosen, or refused this client.
	ErrHandshake = session.ErrHandshake
	// ErrNotARegistry is an ErrHandshake, and says that a server of something else answers:
	// in plain text, for example, or over TLS without protocol 2.0. Over a classic carrier
	// nobody can tell.
	ErrNotARegistry = session.ErrNotARegistry
	// ErrSessionEnded says that the session with the registry is over: the
	// connection broke, a call was given up in the middle, the client was closed,
	// or the registry ended it with an error. Dial again.
	ErrSessionEnded = errors.New("session with the registry ended")
	// ErrOriginalRegistry says that the credentials are those of a registry from
	// before 2.0, and that nobody chose to speak a classic protocol with it.
	ErrOriginalRegistry = errors.New("credentials are of a registry older than protocol 2.0")
	// ErrReadOnly says that a client without a node cannot do what was asked.
	ErrReadOnly = errors.New("no node: this client can only read")
	// ErrNotRegistered says that the node has no ID from this registry yet.
	ErrNotRegistered = errors.New("node is not registered with this registry")
	// ErrNeeds20 says that classic carriers cannot carry what was asked.
	ErrNeeds20 = errors.New("needs protocol 2.0")
	// ErrUnverified says that a member's token carries no proof.
	ErrUnverified = errors.New("member is not verified: it registered over a classic carrier")
	// ErrAddress says that an address cannot be registered, since the node cannot be
	// reached there.
	ErrAddress = errors.New("address cannot be registered")
	// ErrNewEpoch says that the cluster has started anew since the node took its seat: who
	// was a member is none any more. Started again, the program joins the new epoch.
	ErrNewEpoch = errors.New("the cluster has started anew without this member")
	// ErrClosed says that a Membership was closed.
	ErrClosed = errors.New("membership was closed")
	// ErrOtherRoster says that members see another cluster at the same revision: their
	// registry lies to them or to this node.
	ErrOtherRoster = errors.New("members see another cluster")
	// ErrBadDocument says that a signed roster is not what it has to be, or is not signed by
	// the registry that is known.
	ErrBadDocument = errors.New("signed roster does not hold")
	// ErrContradiction says that a registry has signed two rosters for one revision of a
	// cluster, which convicts it.
	ErrContradiction = errors.New("the registry has signed two different rosters")

	errNoAnswer   = errors.New("no answer from the registry")
	errNotReached = errors.New("registry not reached yet")
	errNotYet     = errors.New("the cluster's owner has not created it yet")
	errBehind     = errors.New("the registry shows an older state of the cluster than before")
	errClosed     = errors.New("client was closed")
	errRenewed    = errors.New("the certificate of the node was renewed after this session began")
)

// IncompleteError says that the wait for a cluster's members ended before all
// of them were there. It wraps context.DeadlineExceeded, or context.Canceled.
type IncompleteError struct {
	Roster *Roster // who had joined when last heard; nil if nothing was
	Size   int     // members waited for; 0 if that was not known yet
	Err    error   // context.DeadlineExceeded or context.Canceled
	Cause  error   // what stood in the way besides absent members; nil if nothing

	// Joined says, of a Form, that the node itself has a seat, which it keeps; Index is
	// its number, or -1 as long as no roster has told it.
	Joined bool
	Index  int
	// Heard is when the registry last answered; zero if it never did.
	Heard time.Time

	forming bool // of a Form
}

// Missing returns how many members had not joined, as far as is known.
func (e *IncompleteError) Missing() int {
	if e.Roster == nil {
		return e.Size
	}
	return max(0, e.Size-len(e.Roster.Members))
}

// Error says in one line who has joined, from where and since when, which seats are
// free, whether the node itself has one, and when the registry was last heard.
func (e *IncompleteError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.known(), e.Err)
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	if e.Roster != nil {
		b.WriteString(describeMembers(e.Roster.Members))
	}
	if e.Joined && e.Index >= 0 {
		fmt.Fprintf(&b, "; this node has joined with index %d", e.Index)
	}
	if !e.Heard.IsZero() {
		fmt.Fprintf(&b, "; registry last heard at %s", utc(e.Heard))
	}
	if e.Roster != nil {
		b.WriteString(e.free())
	}
	return b.String()
}

// known returns what is known of the members, the node itself included.
func (e *IncompleteError) known() string {
	if e.Roster != nil {
		return fmt.Sprintf("%d of %d members joined, %d missing", len(e.Roster.Members), e.Size, e.Missing())
	}
	var parts []string
	switch {
	case e.Joined:
		parts = append(parts, "joined (index not heard yet)")
	case e.forming:
		parts = append(parts, "not joined")
	default:
		parts = append(parts, "no answer about its members")
	}
	if e.Size > 0 {
		parts = append(parts, fmt.Sprintf("%d members wanted", e.Size))
	}
	if e.forming && e.Heard.IsZero() {
		parts = append(parts, "registry never heard")
	}
	return strings.Join(parts, ", ")
}

// free names the seats that nobody had. Nothing else is known of who is missing.
func (e *IncompleteError) free() string {
	free := xlreg.SeatsBelow(e.Roster.Cluster.MaxSize)
	for i := range e.Roster.Members {
		free = free.Without(e.Roster.Members[i].Index)
	}
	if free.IsEmpty() {
		return ""
	}
	return "; free seats: " + ranges(free)
}

// ranges returns the indexes in s, those that follow one another as one range.
func ranges(s xlreg.Seats) string {
	var parts []string
	for first := range s.All() {
		if s.Has(first - 1) {
			continue
		}
		last := first
		for s.Has(last + 1) {
			last++
		}
		switch last - first {
		case 0:
			parts = append(parts, strconv.Itoa(first))
		case 1:
			parts = append(parts, strconv.Itoa(first), strconv.Itoa(last))
		default:
			parts = append(parts, fmt.Sprintf("%d to %d", first, last))
		}
	}
	return strings.Join(parts, ", ")
}

// Unwrap returns the context's error and the cause.
func (e *IncompleteError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

// incomplete returns e as the error of a wait that ran out of time. The cause is what
// went wrong besides, if anything did.
func incomplete(ctx context.Context, e *IncompleteError, err error) error {
	e.Err = endOf(ctx)
	if !isTimeUp(err) {
		e.Cause = err
	}
	return e
}

// isTimeUp reports whether err says nothing but that the members did not come.
func isTimeUp(err error) bool {
	var e *IncompleteError
	return errors.As(err, &e)
}

// mostDescribed is how many members an error names.
const mostDescribed = 64

func describeMembers(members []Member) string {
	var b strings.Builder
	for i := range members[:min(len(members), mostDescribed)] {
		t := &members[i].Token
		b.WriteString([]string{"; joined: ", ", "}[min(i, 1)])
		b.WriteString(string(t.Name))
		if len(t.Endpoints) > 0 {
			fmt.Fprintf(&b, " at %s", t.Endpoints[0])
		}
		if !t.Seat.Joined.IsZero() {
			fmt.Fprintf(&b, " since %s", t.Seat.Joined.UTC().Format(time.RFC3339))
		}
	}
	if more := len(members) - mostDescribed; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// failures are the errors of several attempts, in one line.
type failures []error

func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }
