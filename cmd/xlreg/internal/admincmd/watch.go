package admincmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// watcher follows the clusters that a filter lets through.
type watcher struct {
	*admin
	filter *filter
	client *adminclient.Client

	rows  []api.Cluster // that are shown, the first on top
	known map[string]bool
	lines int // of the table that stands on the terminal; 0: there is none
}

func newWatcher(a *admin, f *filter, c *adminclient.Client) *watcher {
	return &watcher{admin: a, filter: f, client: c, known: make(map[string]bool)}
}

// run shows the list and then each change, until ctx ends.
func (w *watcher) run(ctx context.Context) error {
	lost := func(err error) { fmt.Fprintf(w.Err, "xlreg: trying again: %s\n", cli.Printable(err.Error())) }
	if w.onTerminal() {
		lost = func(error) {} // the table would be torn; it is read anew afterwards
	}
	return w.client.Follow(ctx, lost, func(restart bool, changes []api.Change) error {
		if restart {
			return w.restart(ctx)
		}
		for i := range changes {
			if err := w.take(&changes[i]); err != nil {
				return err
			}
		}
		return w.redraw()
	})
}

func (w *watcher) onTerminal() bool { return w.Output != "json" && cli.HasLine(w.Out) }

// restart reads the list anew. Without a terminal only what differs from what was told
// before is told.
func (w *watcher) restart(ctx context.Context) error {
	page, err := w.client.Clusters(ctx, w.filter.query())
	if err != nil {
		return err
	}
	before := w.rows
	w.rows = page.Items
	for i := range w.rows {
		w.known[w.rows[i].ID] = true
	}
	if w.onTerminal() {
		return w.redraw()
	}
	for i := len(w.rows) - 1; i >= 0; i-- { // the newest last, as those that follow
		c := &w.rows[i]
		same := slices.ContainsFunc(before, func(b api.Cluster) bool { return b.ID == c.ID && b.Revision == c.Revision })
		if same {
			continue
		}
		if err := w.tell(&api.Change{Revision: page.Revision, Cluster: c}); err != nil {
			return err
		}
	}
	return nil
}

// take puts a change into the list, and tells it if there is no terminal.
func (w *watcher) take(change *api.Change) error {
	id := change.Gone
	if change.Cluster != nil {
		id = change.Cluster.ID
	}
	i := slices.IndexFunc(w.rows, func(c api.Cluster) bool { return c.ID == id })
	if i >= 0 && change.Cluster != nil && !isNewer(change.Cluster, &w.rows[i]) {
		return nil // the list was read after it
	}
	wanted := change.Cluster != nil && w.filter.lets(change.Cluster, time.Now())
	if !wanted && !w.known[id] {
		return nil
	}
	if !w.onTerminal() {
		w.know(id, change.Cluster != nil)
		w.place(i, wanted, change)
		return w.tell(change)
	}
	w.know(id, wanted)
	w.place(i, wanted, change)
	return nil
}

func isNewer(c, than *api.Cluster) bool {
	return cmp.Or(cmp.Compare(c.Epoch, than.Epoch), cmp.Compare(c.Revision, than.Revision)) > 0
}

func (w *watcher) know(id string, yes bool) {
	if !yes {
		delete(w.known, id)
		return
	}
	w.known[id] = true
}

// place replaces, removes or adds the row of a cluster, which is at i or not there.
func (w *watcher) place(i int, wanted bool, change *api.Change) {
	switch {
	case i >= 0 && wanted:
		w.rows[i] = *change.Cluster
	case i >= 0:
		w.rows = slices.Delete(w.rows, i, i+1)
	case wanted && w.filter.order == string(api.OrderName):
		at, _ := slices.BinarySearchFunc(w.rows, *change.Cluster, func(a, b api.Cluster) int { return strings.Compare(a.Name, b.Name) })
		w.rows = slices.Insert(w.rows, at, *change.Cluster)
	case wanted:
		w.rows = slices.Insert(w.rows, 0, *change.Cluster)
	}
	for len(w.rows) > w.filter.limit {
		last := len(w.rows) - 1
		if w.onTerminal() {
			delete(w.known, w.rows[last].ID)
		}
		w.rows = w.rows[:last]
	}
}

// lets reports whether a cluster is one of those that are wanted.
func (f *filter) lets(c *api.Cluster, now time.Time) bool {
	age := time.Duration(0)
	if c.Created != nil {
		age = now.Sub(*c.Created)
	}
	named := f.match == "" || strings.Contains(c.Name, f.match) || strings.HasPrefix(c.ID, strings.ToLower(f.match))
	return named && (f.state == "" || c.State == api.State(f.state)) &&
		(f.older == 0 || age >= f.older) && (f.newer == 0 || age <= f.newer)
}

// tell writes a change in one line.
func (w *watcher) tell(change *api.Change) error {
	if w.Output == "json" {
		text, err := json.Marshal(change)
		if err == nil {
			_, err = fmt.Fprintln(w.Out, string(text))
		}
		return err
	}
	at := time.Now().Format(time.TimeOnly)
	c := change.Cluster
	if c == nil {
		_, err := fmt.Fprintf(w.Out, "%s  %s  deleted\n", at, w.shortID(change.Gone))
		return err
	}
	text := fmt.Sprintf("%s  %s  %-7s  %s  %s", at, w.shortID(c.ID), c.State, cli.Printable(c.Name), fmt.Sprintf("%d/%d", c.Members, c.Size))
	if c.Members < c.Size {
		text += "  missing " + Missing(c.Taken, c.Size)
	}
	_, err := fmt.Fprintln(w.Out, text)
	return err
}

// redraw writes the table over the one that stands there.
func (w *watcher) redraw() error {
	if !w.onTerminal() {
		return nil
	}
	file := w.Out.(*os.File) // or it were no terminal
	height := cli.Height(file)
	rows := w.rows[:min(len(w.rows), max(1, height-3))]
	text := w.clusterTable(rows).text(cli.Width(file))
	if hidden := len(w.rows) - len(rows); hidden > 0 {
		text += fmt.Sprintf("… and %d more\n", hidden)
	}
	var b strings.Builder
	if w.lines > 0 {
		fmt.Fprintf(&b, "\033[%dA\r", w.lines)
	}
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSuffix(line, "\n") + "\033[K\n")
	}
	b.WriteString("\033[J")
	w.lines = strings.Count(text, "\n")
	_, err := w.Out.Write([]byte(b.String()))
	return err
}
