package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
)

// runShow says what happens to the members of a run while it happens.
type runShow interface {
	at(index int, endpoints []string) // a member has its ports
	joined(index int)                 // it has its seat
	tell(e run.Event)                 // a program has come into another state
	line(c *cli.Console) statusLine   // where to say what is waited for
	above(w io.Writer) io.Writer      // what is written there is not mixed up with what is shown
	end()                             // nothing changes any more, or what does is not worth a line
	clear()                           // nothing came of it; unless it has ended before
}

// silent says nothing.
type silent struct{}

func (silent) at(int, []string)               {}
func (silent) joined(int)                     {}
func (silent) tell(run.Event)                 {}
func (silent) line(c *cli.Console) statusLine { return cli.NewStatusLine(c) }
func (silent) above(w io.Writer) io.Writer    { return w }
func (silent) end()                           {}
func (silent) clear()                         {}

// plain says it in lines that a log can take.
type plain struct {
	silent
	note    func(format string, args ...any) // writes a line
	checked []bool                           // whether a member has a check, so that its being ready says something
}

// tell writes a line if there is something to say.
func (p *plain) tell(e run.Event) {
	if text := p.describe(&e); text != "" {
		p.note("%s", text)
	}
}

func (p *plain) describe(e *run.Event) string {
	left := fmt.Sprintf("%d of %d are left", e.Left, len(p.checked))
	switch {
	case e.State == run.StateReady && p.checked[e.Index]:
		return e.Name + " is ready"
	case e.State == run.StateRestarting && e.Err != nil:
		return fmt.Sprintf("%s; it is started again in %v", oneLine(e.Err), e.Again)
	case e.State == run.StateEnded && e.Asked && e.Err == nil:
		return ""
	case e.State == run.StateEnded && e.Err != nil:
		return oneLine(e.Err) + "; " + left
	case e.State == run.StateEnded && p.checked[e.Index]:
		return e.Name + " has ended; " + left
	}
	return ""
}

// both shows the members on a terminal until all are ready, and says in lines what happens
// after that. Its methods may be called at the same time.
type both struct {
	*live
	after *plain

	mu    sync.Mutex
	ended bool // guarded by mu
}

func (b *both) tell(e run.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		b.after.tell(e)
		return
	}
	b.live.tell(e)
}

func (b *both) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.live.end()
}

// newShow begins to show the members. It must be ended, or cleared.
func (r *clusterRun) newShow() runShow {
	lines := &plain{note: r.note}
	switch {
	case r.o.quiet && (r.o.life.keepGoing || r.o.life.again.OnFailure):
		lines.checked = make([]bool, r.o.members)
		return lines // the run goes on, and nobody would know of a death
	case r.o.quiet:
		return silent{}
	}
	var rows []liveRow
	for i, m := range r.o.plan.Members {
		lines.checked = append(lines.checked, m.Ready != nil)
		rows = append(rows, liveRow{name: string(r.o.name(i)), role: m.Role})
	}
	if r.Output == "json" {
		return lines
	}
	if l := newLive(r.Console, rows); l.visible() {
		return &both{live: l, after: lines}
	}
	return lines
}

// describe says who is in the cluster that is about to start, and where its files are.
func (r *clusterRun) describe() error {
	if r.o.quiet || r.Output == "json" {
		return nil
	}
	var b bytes.Buffer
	if len(r.members) > 0 {
		if err := r.describeMembers(&b, r.members[0].Roster()); err != nil {
			return err
		}
	}
	fmt.Fprintf(&b, "files in %s%s\n", r.dir, map[bool]string{true: ", until this ends"}[r.o.dir == ""])
	_, err := r.show.above(r.Err).Write(b.Bytes())
	return err
}

// messages returns the globals for what is to be said while the members are shown.
func (r *clusterRun) messages() *globals {
	g, own, console := *r.globals, *r.Globals, *r.Console
	console.Err = r.show.above(r.Err)
	own.Console, g.Globals = &console, &own
	return &g
}

func (r *clusterRun) warn(format string, args ...any) { r.messages().warn(format, args...) }

// describeMembers writes who is in the cluster. On a terminal each member has a line of its
// own.
func (r *clusterRun) describeMembers(b *bytes.Buffer, roster *client.Roster) error {
	if cli.HasLine(r.Err) {
		r.describeCluster(b, roster)
		return nil
	}
	err := r.describeRoster(b, roster, r.Err)
	b.WriteString("\n")
	return err
}

// describeTalk says how to talk to the cluster that runs.
func (r *clusterRun) describeTalk(program string) error {
	command, known, err := r.paste(program)
	if err != nil || !known || r.o.quiet || r.Output == "json" {
		return err
	}
	command = strings.ReplaceAll(strings.TrimSpace(command), "\n", "\n  ")
	_, err = fmt.Fprintf(r.Err, "\ntalk to it with\n\n  %s\n\n", command)
	return err
}

func (r *clusterRun) paste(program string) (command string, known bool, err error) {
	if r.o.plan.Paste != nil {
		command, err = r.o.plan.Paste.Expand(r.data[0])
		return command, true, err
	}
	command, known = r.data[0].TalkTo(program)
	return command, known, nil
}
