package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/audit"
	"github.com/xlattice/xlreg/internal/metrics"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
)

// observeFlags are for the record of what happens.
type observeFlags struct{ auditLog string }

func (f *observeFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.auditLog, "audit-log", "", "`FILE` to record in who did what to clusters and nodes, a line of JSON each; opened anew on SIGHUP")
}

// observer counts what happens, and records it.
type observer struct {
	metrics *metrics.Metrics
	audit   *audit.Log // nil: nothing is recorded
}

// newObserver opens the audit log, if there is to be one. The caller closes the observer,
// after the registry.
func newObserver(cfg *serveConfig) (*observer, error) {
	o := &observer{metrics: metrics.New(buildVersion().Version)}
	if cfg.observe.auditLog == "" {
		return o, nil
	}
	var err error
	o.audit, err = audit.Open(cfg.observe.auditLog, cfg.log)
	return o, err
}

func (o *observer) close() error {
	if o.audit == nil {
		return nil
	}
	return o.audit.Close()
}

// reload goes on in a new file, when the audit log has been moved away.
func (o *observer) reload(context.Context) ([]string, error) {
	if o.audit == nil {
		return nil, nil
	}
	if err := o.audit.Reopen(); err != nil {
		return nil, err
	}
	return []string{"the audit log is opened anew"}, nil
}

// attach lets the metrics have what the registry and its store count themselves.
func (o *observer) attach(s metrics.Source, st store.Store) error {
	var commits func() uint64
	if counted, ok := st.(interface{ Commits() uint64 }); ok {
		commits = counted.Commits
	}
	return o.metrics.Attach(s, commits)
}

// Observe is for host.Config.
func (o *observer) Observe(e registry.Event) {
	o.metrics.Observe(e)
	if o.audit != nil {
		o.audit.Observe(e)
	}
}

// record is for admin.Config.
func (o *observer) record(by admin.Visitor, what, detail string) {
	if o.audit != nil {
		o.audit.Admin(audit.Change{Time: time.Now(), Admin: by.Name, From: by.From, What: what, Detail: detail})
	}
}
