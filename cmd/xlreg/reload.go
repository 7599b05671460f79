package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/host"
)

// reloadable is something that SIGHUP has read anew. It returns what has changed, in a few
// words each. With an error everything is as it was.
type reloadable struct {
	name   string
	reload func(ctx context.Context) (changed []string, err error)
}

// reloader reads anew, on SIGHUP, what can be changed while a registry runs. It is owned
// by the goroutine that attends to signals.
type reloader struct {
	cfg     *serveConfig      // what the registry was started with
	next    *serveConfig      // what the flags say now
	inForce map[string]string // values of flags, by their names
	host    *host.Host
	manager *manager
	signals <-chan os.Signal
	parts   []reloadable
}

// newReloader returns a reloader of flags and of the other parts.
func newReloader(cfg *serveConfig, h *host.Host, m *manager, signals <-chan os.Signal, others ...reloadable) *reloader {
	r := &reloader{cfg: cfg, next: cfg, inForce: valuesOf(cfg.flags), host: h, manager: m, signals: signals}
	r.parts = append([]reloadable{
		{"limits", r.reloadLimits},
		{"log level", r.reloadLevel},
		{"admitted keys", r.reloadAdmitted},
	}, others...)
	return r
}

// attend reloads at each signal until ctx ends.
func (r *reloader) attend(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.signals:
			r.reload(ctx)
		}
	}
}

// reload reads everything anew, and says what has changed and what has not.
func (r *reloader) reload(ctx context.Context) {
	done := r.manager.reloading(r.host)
	defer done()
	log := r.cfg.log
	r.readFlags()
	changed := []string{}
	for _, part := range r.parts {
		news, err := part.reload(ctx)
		if err != nil {
			log.Error("SIGHUP: kept as it was", "what", part.name, "err", oneLine(err))
		}
		changed = append(changed, news...)
	}
	if waiting := differing(r.inForce, valuesOf(r.next.flags), needsRestart); len(waiting) > 0 {
		log.Warn("SIGHUP: some flags differ that need a restart", "flags", waiting)
	}
	log.Info("SIGHUP: read anew", "changed", changed)
}

// readFlags reads the file of --config. If it is damaged the flags stay as they were.
func (r *reloader) readFlags() {
	next, err := r.cfg.settings.read()
	switch {
	case err != nil:
		r.cfg.log.Error("SIGHUP: the flags stay as they were", "err", oneLine(err))
	case r.cfg.settings.path == "":
		r.cfg.log.Info("SIGHUP: the flags stay as they are, since --config names no file that could change them")
	default:
		next.log = r.cfg.log
		next.fitOpenFiles(cli.OpenFileLimit())
		next.fitMemory(cli.MemoryLimit())
		r.next = next
	}
}

// reloadLimits has the limits that the flags say now count.
func (r *reloader) reloadLimits(context.Context) ([]string, error) {
	changed := r.take(isLimit)
	if len(changed) > 0 {
		r.host.SetLimits(r.next.limits)
	}
	return changed, nil
}

func (r *reloader) reloadLevel(context.Context) ([]string, error) {
	changed := r.take(func(flag string) bool { return flag == flagLogLevel })
	if len(changed) > 0 {
		r.cfg.level.Set(r.next.level.Level())
	}
	return changed, nil
}

// reloadAdmitted reads the file with keys, which may have changed while its name has not.
func (r *reloader) reloadAdmitted(context.Context) ([]string, error) {
	n, changed, err := r.cfg.admitted.read(r.next.admitFile)
	switch {
	case err != nil || !changed:
		return nil, err
	case r.next.admitFile == "":
		return []string{"all keys are admitted"}, nil
	}
	return []string{fmt.Sprintf("%d keys are admitted", n)}, nil
}

// take returns those of the chosen flags that differ from what is in force, with their new
// values, which are in force from then on.
func (r *reloader) take(chosen func(flag string) bool) []string {
	var changed []string
	for _, name := range differing(r.inForce, valuesOf(r.next.flags), chosen) {
		value := r.next.flags.Lookup(name).Value.String()
		r.inForce[name] = value
		changed = append(changed, name+"="+value)
	}
	return changed
}

// Flags that can be changed while a registry runs, beside limits.
const (
	flagLogLevel  = "log-level"
	flagAdmitFile = "admit-file"
	flagConfig    = "config" // its file cannot set it
)

func isLimit(flag string) bool {
	limits := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(serveFlags).registerLimits(limits)
	return limits.Lookup(flag) != nil
}

// needsRestart reports whether a registry has to be started again to change a flag.
func needsRestart(flag string) bool {
	return !isLimit(flag) && !slices.Contains([]string{flagLogLevel, flagAdmitFile, flagConfig}, flag)
}

// valuesOf returns the values of flags by their names.
func valuesOf(flags *pflag.FlagSet) map[string]string {
	values := make(map[string]string)
	flags.VisitAll(func(f *pflag.Flag) { values[f.Name] = f.Value.String() })
	return values
}

// differing returns the names of the chosen flags whose values differ, in their order.
func differing(was, is map[string]string, chosen func(flag string) bool) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if was[name] != is[name] && chosen(name) {
			names = append(names, name)
		}
	}
	return names
}
