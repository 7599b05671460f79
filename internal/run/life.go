package run

import (
	"context"
	"fmt"
	"os"
	"time"
)

// State is how far a program has come.
type State string

// The states, in the order in which a program that fares well goes through them.
const (
	StateWaiting    State = "waiting"    // not started yet: something else has to be ready first
	StateStarting   State = "starting"   // it runs, and is not ready
	StateReady      State = "ready"      // its check has passed, or it has none
	StateRestarting State = "restarting" // it died, and is started again after a pause
	StateStopping   State = "stopping"   // it was told to end
	StateEnded      State = "ended"      // it is gone; what it has started is being ended too
)

// Event says that a program has come into another state.
type Event struct {
	Index    int    // the program's, among those that were given
	Name     string // the program's
	State    State
	At       time.Time
	PID      int           // while it runs
	Err      error         // why it restarts or ended; nil for a good end, and for one that was asked for
	Asked    bool          // of StateEnded: it was told to end,
	Do       Do            // by this command; empty: with the whole run
	Left     int           // how many programs have not ended, whether they run already or not
	Restarts int           // how often it was started again so far
	Again    time.Duration // of StateRestarting: the pause
}

// Ready is how to find out that a program is ready.
type Ready struct {
	// Check is called until it returns nil, one call at a time, with a pause between them.
	// Its context ends with the program, or when the time is up.
	Check   func(context.Context) error
	Timeout time.Duration // of all calls together; 0 is DefaultReadyTimeout
	What    string        // what is checked, for people: "tcp 127.0.0.1:4000"
}

// NotReadyError says that a program did not become ready in time. It is not an ExitError:
// the program was running.
type NotReadyError struct {
	Name  string // the program's
	What  string // what was checked
	After time.Duration
	Last  error // what the last check said
	Ended bool  // the program ended well before it was ready, so that nothing can become of it
}

// Error says it in one line.
func (e *NotReadyError) Error() string {
	switch {
	case e.Ended:
		return e.Name + " ended before it was ready"
	case e.Last == nil:
		return fmt.Sprintf("%s was not ready (%s) within %v", e.Name, e.What, e.After)
	default:
		return fmt.Sprintf("%s was not ready (%s) within %v: %v", e.Name, e.What, e.After, e.Last)
	}
}

// Unwrap returns what the last check said.
func (e *NotReadyError) Unwrap() error { return e.Last }

// Restart says when a program that has failed is started again.
type Restart struct {
	OnFailure bool
	Most      int // how often in a row; 0 is without end
}

// Do is what somebody wants to be done with programs that run.
type Do string

// What can be done.
const (
	DoStop    Do = "stop"    // end it, within the grace
	DoKill    Do = "kill"    // end it with a signal, SIGKILL if none is named: it counts as a death that was asked for
	DoRestart Do = "restart" // end it, within the grace, and start it again
)

// Command is a wish about one program, or all of them, while they run.
type Command struct {
	Do     Do
	Name   string       // empty: all programs; then DoStop ends the run
	Signal os.Signal    // of DoKill
	Done   chan<- error // gets one value once it is done, or cannot be; buffered
}
