package shim

import (
	"encoding/json"
	"time"
)

// A supervisor and a shim talk in JSON: orders go down one pipe, whose end is an
// order too, to stop; reports come back over another.

// The files of a shim beside its standard ones. Listeners follow.
const (
	ordersFD = 3 + iota
	reportsFD
	firstListenerFD
)

// Order is what a supervisor says to a shim.
type Order struct {
	Do     string `json:"do"`
	Task   *Task  `json:"task,omitempty"`   // of DoPrepare
	Signal int    `json:"signal,omitempty"` // of DoSignal
}

// The orders. The first is DoPrepare, the second DoStart.
const (
	DoPrepare = "prepare"
	DoStart   = "start"
	DoSignal  = "signal" // pass a signal on to the program
	DoStop    = "stop"   // SIGTERM, and after the grace SIGKILL; what is shared stays
	DoKill    = "kill"   // the same at once
	DoEnd     = "end"    // stop, and what is shared too
)

// Task is the program that a shim is to run.
type Task struct {
	Path      string        `json:"path"`
	Args      []string      `json:"args"` // the first is the program's name for itself
	Env       []string      `json:"env"`  // all of it
	Mark      string        `json:"mark"` // of the run, in the environment of all its programs
	Shared    []string      `json:"shared,omitempty"`
	Listeners int           `json:"listeners"`
	Grace     time.Duration `json:"grace"`
	Scratch   string        `json:"scratch"` // a directory; removed by the shim if its supervisor is gone
}

// wireTask is a Task as it travels. A string of JSON is UTF-8; what a program is given need not
// be, so it travels as bytes.
type wireTask struct {
	plainTask
	Path    []byte   `json:"path"`
	Args    [][]byte `json:"args"`
	Env     [][]byte `json:"env"`
	Scratch []byte   `json:"scratch"`
}

// plainTask is a Task without its methods.
type plainTask Task

// MarshalJSON implements json.Marshaler.
func (t Task) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireTask{plainTask(t), []byte(t.Path), toBytes(t.Args), toBytes(t.Env), []byte(t.Scratch)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Task) UnmarshalJSON(data []byte) error {
	var w wireTask
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*t = Task(w.plainTask)
	t.Path, t.Args, t.Env, t.Scratch = string(w.Path), toStrings(w.Args), toStrings(w.Env), string(w.Scratch)
	return nil
}

func toBytes(list []string) [][]byte {
	all := make([][]byte, len(list))
	for i, text := range list {
		all[i] = []byte(text)
	}
	return all
}

func toStrings(list [][]byte) []string {
	all := make([]string, len(list))
	for i, text := range list {
		all[i] = string(text)
	}
	return all
}

// Report is what a shim says to its supervisor.
type Report struct {
	Is     string `json:"is"`
	PID    int    `json:"pid,omitempty"`    // of IsStarted and IsLost
	Error  string `json:"error,omitempty"`  // of IsFailed and IsLost
	Code   int    `json:"code,omitempty"`   // of IsEnded, as is Signal
	Signal int    `json:"signal,omitempty"` //
}

// The reports.
const (
	IsReady   = "ready"   // it has its task
	IsStarted = "started" // the program runs
	IsFailed  = "failed"  // the program could not be started
	IsEnded   = "ended"   // the program ended; processes that it started may live on
	IsKeeping = "keeping" // of all those only shared helpers are left
	IsLost    = "lost"    // the shim is gone and has not said how the program ended; only the supervisor says so itself
)
