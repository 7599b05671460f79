package run

import "time"

// A supervisor and a shim talk in JSON: orders go down one pipe, whose end is an
// order too, to stop; reports come back over another.

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

// The orders. The first is doPrepare, the second doStart.
const (
	doPrepare = "prepare"
	doStart   = "start"
	doSignal  = "signal" // pass a signal on to the program
	doStop    = "stop"   // SIGTERM, and after the grace SIGKILL; what is shared stays
	doKill    = "kill"   // the same at once
	doEnd     = "end"    // stop, and what is shared too
)

// task is the program that a shim is to run.
type task struct {
	Path      string        `json:"path"`
	Args      []string      `json:"args"` // the first is the program's name for itself
	Env       []string      `json:"env"`  // all of it
	Mark      string        `json:"mark"` // of the run, in the environment of all its programs
	Shared    []string      `json:"shared,omitempty"`
	Listeners int           `json:"listeners"`
	Grace     time.Duration `json:"grace"`
	Scratch   string        `json:"scratch"` // see Program; removed by the shim if its supervisor is gone
}

type report struct {
	Is     string `json:"is"`
	PID    int    `json:"pid,omitempty"`    // of isStarted and isLost
	Error  string `json:"error,omitempty"`  // of isFailed and isLost
	Code   int    `json:"code,omitempty"`   // of isEnded, as is Signal
	Signal int    `json:"signal,omitempty"` //
}

// The reports.
const (
	isReady   = "ready"   // it has its task
	isStarted = "started" // the program runs
	isFailed  = "failed"  // the program could not be started
	isEnded   = "ended"   // the program ended; processes that it started may live on
	isKeeping = "keeping" // of all those only shared helpers are left
	isLost    = "lost"    // the shim is gone and has not said how the program ended; nobody's but the supervisor's
)
