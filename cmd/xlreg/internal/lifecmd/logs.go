package lifecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
)

func newLogs(g *cli.Globals) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [NAME]",
		Short: "Print what members of a run have written",
		Long: "Print the output of a member since the run was started; without NAME that of all members, one\n" +
			"after the other, with their names before the lines. It can be read after the end of the run,\n" +
			"too. What a run with --detach says itself is in the log named run.",
		Example: "  xlreg logs\n" +
			"  xlreg logs -f m0",
		Args: upTo,
	}
	p := at(g, cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run ends")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.logs(cmd.Context(), nameIn(args), follow)
	}
	return cmd
}

func (p *place) logs(ctx context.Context, name string, follow bool) error {
	all, err := p.findLogs(ctx)
	if err != nil {
		return err
	}
	names := []string{name}
	if name == "" {
		names = slices.DeleteFunc(slices.Clone(all.names), func(n string) bool { return n == rundir.RunLog })
	} else if err := checkMember(name, all.names); err != nil {
		return err
	}
	readers, err := p.openLogs(all.dir, names, name == "")
	if err != nil {
		return err
	}
	defer closeLogs(readers)
	if follow {
		return p.follow(ctx, readers)
	}
	return copyLogs(readers)
}

// logsFound are the logs of a run.
type logsFound struct {
	dir   string
	names []string
}

// findLogs looks for the logs that there are.
func (p *place) findLogs(ctx context.Context) (logsFound, error) {
	found := logsFound{dir: rundir.LogsIn(p.dir)}
	kept, err := rundir.KeptIn(p.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return found, err
	}
	if kept != nil && kept.Logs != "" {
		found.dir = kept.Logs
	}
	entries, err := os.ReadDir(found.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return found, err
	}
	for _, e := range entries {
		if name, isLog := strings.CutSuffix(e.Name(), ".log"); isLog && isOf(kept, name) {
			found.names = append(found.names, name)
		}
	}
	if len(found.names) > 0 {
		slices.SortFunc(found.names, byNumber)
		return found, nil
	}
	// Say why, if there is no run at all.
	return found, p.with(ctx, func(*rundir.Client) error {
		if kept == nil {
			return errNotStarted
		}
		return errNoLogs
	})
}

// errNoLogs says that a run has no place for logs.
var errNoLogs = errors.New("the run has no logs: start it with --dir, or --log-dir")

// isOf reports whether a log is one of the run: a directory of logs may have others, too.
func isOf(kept *rundir.Kept, name string) bool {
	if kept == nil || name == rundir.RunLog {
		return true
	}
	_, known := kept.Members[name]
	return known
}

// byNumber puts m10 behind m9.
func byNumber(a, b string) int {
	if len(a) != len(b) && strings.TrimRight(a, "0123456789") == strings.TrimRight(b, "0123456789") {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// reader reads one log, and writes each whole line.
type reader struct {
	file *os.File
	to   io.Writer
	line io.Closer // ends a last line that has no end; nil if lines are passed on as they are
}

func (p *place) openLogs(dir string, names []string, prefixed bool) ([]reader, error) {
	merger := run.NewMergers(p.Out)[0]
	prefixes := run.Prefixes(names, prefixed && cli.HasColor(p.Out))
	var readers []reader
	for i, name := range names {
		f, err := rundir.ReadLog(dir, name)
		if err != nil {
			closeLogs(readers)
			return nil, err
		}
		r := reader{file: f, to: p.Out}
		if prefixed {
			line := merger.Line(prefixes[i])
			r.to, r.line = line, line
		}
		readers = append(readers, r)
	}
	return readers, nil
}

func closeLogs(readers []reader) {
	for _, r := range readers {
		r.file.Close()
	}
}

// copyLogs writes all that is there.
func copyLogs(readers []reader) error {
	for _, r := range readers {
		if _, err := io.Copy(r.to, r.file); err != nil {
			return fmt.Errorf("read %s: %w", r.file.Name(), err)
		}
		if r.line == nil {
			continue
		}
		if err := r.line.Close(); err != nil {
			return err
		}
	}
	return nil
}

// lookInterval is that of the looks at logs that are followed.
const lookInterval = 100 * time.Millisecond

// follow writes what is there and what comes, until the run ends. If there is none, what
// is there is all.
func (p *place) follow(ctx context.Context, readers []reader) error {
	c, err := rundir.Dial(ctx, p.dir)
	if errors.Is(err, rundir.ErrNoRun) {
		return copyLogs(readers)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = c.End(ctx)
	}()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		for _, r := range readers {
			if _, err := io.Copy(r.to, r.file); err != nil {
				cancel()
				<-ended
				return fmt.Errorf("read %s: %w", r.file.Name(), err)
			}
		}
		select {
		case <-ended:
			if ctx.Err() != nil {
				return err
			}
			return copyLogs(readers)
		case <-tick.C:
		}
	}
}
