package admincmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/view"
)

func newStatus(a *admin) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what a registry is and how it fares",
		Args:  wants(),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, _ []string) error {
			r, err := c.Registry(ctx)
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return a.PrintJSON(r)
			}
			if err := a.PrintFields(r, a.statusFields(&r)...); err != nil || !hasFormed(r.Formations) {
				return err
			}
			fmt.Fprintln(a.Out)
			return a.printTable(formationTable(r.Formations))
		}),
	}
}

func (a *admin) statusFields(r *api.Registry) []view.Field {
	fields := []view.Field{
		{"registry", r.Name + "  " + r.ID}, {"key", r.Fingerprint}, {"line", r.Line},
		{"endpoints", list(r.Endpoints)},
		{"version", r.Version}, {"started", a.ago(&r.Started) + startedSuffix(a.isWide())}, {"store", r.Store},
		{"state", StateText(r)}, {"log level", r.LogLevel},
	}
	for _, s := range r.Servers {
		fields = append(fields, view.Field{"server", serverText(&s)})
	}
	if t := r.CertificateUntil; t != nil {
		fields = append(fields, view.Field{"certificate", "until " + t.UTC().Format(time.DateOnly) + " (" + a.in(t) + ")"})
	}
	if t := r.FormerKeyUntil; t != nil {
		fields = append(fields, view.Field{"former key", "until " + t.UTC().Format(time.DateOnly) + " (" + a.in(t) + ")"})
	}
	fields = append(fields,
		view.Field{"clusters", fmt.Sprintf("%d%s", r.Clusters, statesText(r.ByState))},
		view.Field{"nodes", fmt.Sprint(r.Nodes)},
		view.Field{"sessions", fmt.Sprintf("%d, waiting: %d", r.Sessions, r.Waiting)},
		view.Field{"data", Bytes(r.Bytes)})
	for i := range fields {
		fields[i][1] = cli.Printable(fields[i][1])
	}
	return fields
}

func startedSuffix(wide bool) string {
	if wide {
		return ""
	}
	return " ago"
}

// StateText says whether a registry serves clients.
func StateText(r *api.Registry) string {
	switch {
	case r.Draining:
		return "draining: no new connections are taken"
	case !r.Ready:
		return "not ready: clients are not served"
	}
	return "ready"
}

func serverText(s *api.Server) string {
	text := s.ID + "  " + s.Name + "  " + s.Version
	if s.Self {
		text += "  (this one)"
	}
	return text
}

// statesText says how many clusters are in each state.
func statesText(states map[api.State]int) string {
	var parts []string
	for _, s := range api.States() {
		if n := states[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// hasFormed reports whether there is a time to show: the classes are there from the start.
func hasFormed(all []api.Formation) bool {
	return slices.ContainsFunc(all, func(f api.Formation) bool { return f.Count > 0 })
}

func formationTable(all []api.Formation) *table {
	t := newTable("SIZE", "FORMED", "MEAN", "HALF WITHIN", "99 % WITHIN")
	for i := range all {
		f := &all[i]
		if f.Count > 0 {
			t.add(f.Sizes, fmt.Sprint(f.Count), Span(MeanOf(f)), Within(f, 0.5), Within(f, 0.99))
		}
	}
	return t
}

// MeanOf is how long a cluster of a class took on average.
func MeanOf(f *api.Formation) time.Duration {
	if f.Count == 0 {
		return 0
	}
	return time.Duration(f.Seconds / float64(f.Count) * float64(time.Second))
}

// Within says in what time a part of the clusters of a class have formed: the bound of
// the bucket in which the last of them is.
func Within(f *api.Formation, part float64) string {
	need, sum := part*float64(f.Count), uint64(0)
	for i, n := range f.Counts {
		if sum += n; float64(sum) >= need && i < len(f.Bounds) {
			return Span(time.Duration(f.Bounds[i]) * time.Millisecond)
		}
	}
	if len(f.Bounds) == 0 {
		return "-"
	}
	return "over " + Span(time.Duration(f.Bounds[len(f.Bounds)-1])*time.Millisecond)
}

func newCluster(a *admin) *cobra.Command {
	return &cobra.Command{
		Use:               "cluster CLUSTER",
		Short:             "Show one cluster with its members",
		Args:              wants("CLUSTER"),
		ValidArgsFunction: a.complete(completeClusters),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, args []string) error {
			found, err := find(ctx, c, args[0])
			if err != nil {
				return err
			}
			detail, err := c.Cluster(ctx, found.ID)
			if err != nil {
				return err
			}
			return a.printCluster(&detail)
		}),
	}
}

func (a *admin) printCluster(d *api.ClusterDetail) error {
	if a.Output == "json" {
		return a.PrintJSON(d)
	}
	if err := a.PrintFields(d, a.clusterFields(d)...); err != nil || len(d.Seats) == 0 {
		return err
	}
	fmt.Fprintln(a.Out)
	return a.printTable(a.memberTable(d.Seats))
}

func (a *admin) clusterFields(d *api.ClusterDetail) []view.Field {
	owner := "none, it is open"
	if d.Owner != "" {
		owner = d.Owner
	}
	fields := []view.Field{
		{"cluster", cli.Printable(d.Name)}, {"id", d.ID}, {"owner", owner},
		{"state", fmt.Sprintf("%s, %s", d.State, view.CountMembers(d.Members, d.Size))},
	}
	if d.Members < d.Size {
		fields = append(fields, view.Field{"missing", "index " + Missing(d.Taken, d.Size)})
	}
	fields = append(fields,
		view.Field{"waiting", Count(d.Waiting, "request")},
		view.Field{"epoch", fmt.Sprintf("%d, revision %d", d.Epoch, d.Revision)},
		view.Field{"endpoints", fmt.Sprintf("%d each", d.Endpoints)})
	if d.Created != nil {
		fields = append(fields, view.Field{"created", a.ago(d.Created) + startedSuffix(a.isWide())})
	}
	if d.Formed != nil {
		fields = append(fields, view.Field{"formed", "in " + millis(d.Formed)})
	}
	return fields
}

func (a *admin) memberTable(seats []api.Member) *table {
	if a.isWide() {
		return wideMembers(a, seats)
	}
	t := newTable("INDEX", "NAME", "ENDPOINTS", "JOINED", "SEEN", "DUE IN", "LABELS")
	t.cut = []int{1, 2, 6}
	for i := range seats {
		m := &seats[i]
		t.add(fmt.Sprint(m.Index), m.Name, list(m.Endpoints), a.ago(m.Joined), a.ago(m.Seen), a.in(m.Due), labelsText(m.Labels))
	}
	return t
}

func wideMembers(a *admin, seats []api.Member) *table {
	t := newTable("INDEX", "NAME", "NODE", "ENDPOINTS", "KEY", "KIND", "EPOCH", "JOINED", "SEEN", "DUE", "LABELS")
	for i := range seats {
		m := &seats[i]
		t.add(fmt.Sprint(m.Index), m.Name, m.Node, list(m.Endpoints), m.Key, m.KeyKind, fmt.Sprint(m.Epoch),
			a.ago(m.Joined), a.ago(m.Seen), a.in(m.Due), labelsText(m.Labels))
	}
	return t
}

func labelsText(labels map[string]string) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		words = append(words, key+"="+labels[key])
	}
	return list(words)
}
