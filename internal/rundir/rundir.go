package rundir

import (
	"context"
	"time"
)

// Kept is what a run finds again when it is started a second time in the same directory.
// It is in run.json.
type Kept struct {
	Cluster   string              `json:"cluster"`             // the cluster's name
	PortNames []string            `json:"portNames,omitempty"` // of each member's addresses, in their order
	Members   map[string][]string `json:"members"`             // each member's name and addresses, host:port
	Logs      string              `json:"logs,omitempty"`      // where the logs are, if another place was chosen for them
}

// Status is a run as it is now, as 'xlreg ps' shows it.
type Status struct {
	PID     int       `json:"pid"`     // of the run itself
	Cluster string    `json:"cluster"` // its name; empty for a new one that has not formed
	Recipe  string    `json:"recipe,omitempty"`
	Started time.Time `json:"started"`
	Members []Member  `json:"members"`
}

// Member is one program of a run.
type Member struct {
	Name      string    `json:"name"`
	Index     int       `json:"index"` // its place in the cluster; in the run, until that has formed
	Role      string    `json:"role,omitempty"`
	State     string    `json:"state"` // one of package run's; before that forming, or joined
	PID       int       `json:"pid,omitempty"`
	Since     time.Time `json:"since"` // when it came into its state
	Restarts  int       `json:"restarts"`
	Endpoints []string  `json:"endpoints"`     // host:port
	Why       string    `json:"why,omitempty"` // how it ended last
	Log       string    `json:"log,omitempty"` // the path of its log
}

// Order is what somebody asks a run to do.
type Order struct {
	Do     string `json:"do"`               // one of package run's
	Name   string `json:"name,omitempty"`   // a member's; empty: the whole run
	Signal int    `json:"signal,omitempty"` // of kill; 0 is SIGKILL
}

// Controlled is a run, to those who ask it from outside. Its methods may be called at the
// same time.
type Controlled interface {
	Status() Status
	// Obey returns when the order is carried out, or cannot be. An order to stop the whole
	// run counts as carried out when the run has begun to stop. The context ends with the run.
	Obey(context.Context, Order) error
}
