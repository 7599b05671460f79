package launch

import "time"

// What Run and a shim say to each other, in JSON. Run's orders come over one
// pipe, whose end is an order too: to stop. The shim's reports go over another.

// The files of a shim beside its standard ones. Listeners follow.
const (
	ordersFD = 3 + iota
	reportsFD
	firstListenerFD
)

type order struct {
	Do     string `json:"do"`
	Task   *task  `json:"task,omitempty"`   // of doPrepare
	Signal int    `json:"signal,omitempty"` // of doSignal
}

// What a shim can be told to do. First it is told to prepare, then to start.
const (
	doPrepare = "prepare"
	doStart   = "start"
	doSignal  = "signal" // pass one on
	doStop    = "stop"   // SIGTERM, and after the grace SIGKILL
	doKill    = "kill"
)

// task is what a shim is there for.
type task struct {
	Path      string        `json:"path"`
	Args      []string      `json:"args"` // the first is the program's name for itself
	Env       []string      `json:"env"`  // all of it
	Listeners int           `json:"listeners"`
	Grace     time.Duration `json:"grace"`
	Scratch   string        `json:"scratch"` // a directory to remove if nobody else is left to do so
}

type report struct {
	Is     string `json:"is"`
	PID    int    `json:"pid,omitempty"`    // of isStarted
	Error  string `json:"error,omitempty"`  // of isFailed
	Code   int    `json:"code,omitempty"`   // of isEnded, as is Signal
	Signal int    `json:"signal,omitempty"` //
}

// What a shim has to report.
const (
	isReady   = "ready"   // it has its task
	isStarted = "started" // the program runs
	isFailed  = "failed"  // the program could not be started
	isEnded   = "ended"   // the program ended; what it has left behind may not have
)
