package host

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/overview"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/regcred"
)

// steward is what a Host knows for those who run the registry, besides what its parts
// know. Host is an admin.Steward by it.
type steward struct {
	about      api.Registry // what does not change
	level      *slog.LevelVar
	now        func() time.Time
	formations overview.Formations
	limits     limits
}

// observer returns who is told of what happens: the steward, and then another if there is
// one.
func (s *steward) observer(next func(registry.Event)) func(registry.Event) {
	return func(e registry.Event) {
		switch e.Kind {
		case registry.EventFormed:
			s.formations.Observe(e.Cluster.MaxSize, e.Took)
		case registry.EventRefused:
			s.limits.met(e.Limit, 1+e.Omitted)
		}
		if next != nil {
			next(e)
		}
	}
}

// know takes in what does not change.
func (s *steward) know(cfg *Config, cred *xlreg.Credentials, succession *session.Succession) error {
	s.level, s.now = cfg.Level, cfg.Now
	if s.now == nil {
		s.now = time.Now
	}
	s.limits.set(cfg.Limits.WithDefaults())
	target, err := regcred.NewTarget(cred)
	if err != nil {
		return err
	}
	line, err := target.URL()
	if err != nil {
		return err
	}
	s.about = api.Registry{
		Name: string(cred.Name), ID: cred.ID.String(), Fingerprint: target.Fingerprint, Line: line,
		Endpoints: texts(cred.Endpoints), Protocols: protocolsOf(cfg.Protocols),
		Version: cfg.Version, Started: s.now().UTC().Truncate(time.Millisecond), Store: cfg.StoreKind,
	}
	if succession != nil {
		until := succession.Until().UTC()
		s.about.FormerKeyUntil = &until
	}
	return nil
}

func protocolsOf(served []xlreg.Protocol) []string {
	if len(served) == 0 {
		served = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}
	}
	list := make([]string, len(served))
	for i, p := range served {
		list[i] = p.String()
	}
	return list
}

func texts[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = string(s)
	}
	return all
}

// Registry is for admin.Steward.
func (h *Host) Registry() api.Registry {
	about := h.steward.about
	about.Ready, about.Draining, about.LogLevel = h.Ready(), h.server.Draining(), h.logLevel()
	totals, stats := h.registry.Totals(), h.server.Stats()
	about.Nodes, about.Clusters, about.Bytes = totals.Nodes, totals.Clusters, totals.Bytes
	about.Sessions, about.Waiting = stats.Open, stats.Waiting
	about.Members = h.overview.Members()
	about.ByState, about.Revision = h.overview.Counts(), h.overview.Revision()
	if about.ByState != nil { // then they are counted exactly, whoever made them
		about.Clusters = 0
		for _, n := range about.ByState {
			about.Clusters += n
		}
	}
	about.Formations = h.steward.formations.Snapshot()
	servers, self := h.registry.Servers()
	about.Server = string(self)
	for _, s := range servers {
		about.Servers = append(about.Servers, api.Server{ID: string(s.ID), Name: s.Name, Version: s.Version, Self: s.ID == self})
	}
	return about
}

type levelName struct {
	name  string
	level slog.Level
}

// levels are those that people name, the one that says most first.
var levels = [...]levelName{{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}}

func (h *Host) logLevel() string {
	for _, l := range levels {
		if h.log.Enabled(context.Background(), l.level) {
			return l.name
		}
	}
	return "error"
}

// Clusters is for admin.Steward.
func (h *Host) Clusters(ctx context.Context, q api.ClusterQuery) (api.Page[api.Cluster], error) {
	return h.overview.List(ctx, q)
}

// Cluster is for admin.Steward.
func (h *Host) Cluster(ctx context.Context, id string) (api.ClusterDetail, error) {
	parsed, err := xlreg.ParseClusterID(id)
	if err != nil {
		return api.ClusterDetail{}, noCluster(id)
	}
	detail, err := h.registry.Detail(ctx, parsed)
	if err != nil {
		return api.ClusterDetail{}, h.explain(err)
	}
	brief, err := h.brief(&detail)
	if err != nil {
		return api.ClusterDetail{}, err
	}
	d := api.ClusterDetail{
		Cluster: brief, Endpoints: detail.Head.EndpointCount, Waiting: detail.Waiting,
		Seats: make([]api.Member, len(detail.Members)),
	}
	for i := range detail.Members {
		d.Seats[i] = memberOf(&detail, i)
	}
	return d, nil
}

// brief adds what the overview has seen, if it is about the same cluster still.
func (h *Host) brief(d *registry.Detail) (api.Cluster, error) {
	brief, err := overview.Brief(&d.Head)
	if known, ok := h.overview.Cluster(string(d.Head.ID)); ok && err == nil {
		brief.Changed, brief.Formed = known.Changed, known.Formed
	}
	return brief, err
}

func noCluster(id string) error {
	return fmt.Errorf("%w: there is no cluster %.80q", api.ErrNotFound, id)
}

// Nodes is for admin.Steward.
func (h *Host) Nodes(ctx context.Context, cursor string, limit int) (page api.Page[api.Node], err error) {
	if limit, err = pageOf(limit); err != nil {
		return page, err
	}
	var after xlreg.NodeID
	if cursor != "" {
		if after, err = xlreg.ParseNodeID(cursor); err != nil {
			return page, badCursor(cursor)
		}
	}
	nodes, more, err := h.registry.NodesAfter(ctx, after, limit)
	if err != nil {
		return page, h.explain(err)
	}
	page = api.Page[api.Node]{Items: make([]api.Node, len(nodes)), Total: h.registry.Totals().Nodes}
	for i := range nodes {
		page.Items[i] = nodeOf(&nodes[i])
	}
	if more {
		page.Next = page.Items[len(nodes)-1].ID
	}
	return page, nil
}

// Node is for admin.Steward.
func (h *Host) Node(ctx context.Context, id string) (api.Node, error) {
	parsed, err := xlreg.ParseNodeID(id)
	if err != nil {
		return api.Node{}, noNode(id)
	}
	n, err := h.registry.Node(ctx, parsed)
	if err != nil {
		return api.Node{}, h.explain(err)
	}
	return nodeOf(&n), nil
}

func noNode(id string) error { return fmt.Errorf("%w: there is no node %.80q", api.ErrNotFound, id) }

// Sessions is for admin.Steward.
func (h *Host) Sessions(cursor string, limit int) (page api.Page[api.Session], err error) {
	if limit, err = pageOf(limit); err != nil {
		return page, err
	}
	var after uint64
	if cursor != "" {
		if after, err = strconv.ParseUint(cursor, 10, 63); err != nil {
			return page, badCursor(cursor)
		}
	}
	sessions, more := h.server.SessionsAfter(after, limit)
	page = api.Page[api.Session]{Items: make([]api.Session, len(sessions)), Total: h.server.Stats().Open}
	for i := range sessions {
		page.Items[i] = sessionOf(&sessions[i])
	}
	if more {
		page.Next = strconv.FormatUint(sessions[len(sessions)-1].ID, 10)
	}
	return page, nil
}

func sessionOf(s *server.Session) api.Session {
	shown := api.Session{ID: s.ID, From: s.From, Began: s.Began.UTC().Truncate(time.Millisecond), Requests: s.Requests}
	if s.Protocol != 0 {
		shown.Protocol = s.Protocol.String()
	}
	if s.Node != "" {
		shown.Node = s.Node.String()
	}
	if s.Waits != "" {
		shown.Waits = s.Waits.String()
	}
	return shown
}

// pageOf returns how many rows a page has.
func pageOf(limit int) (int, error) {
	if limit < 0 || limit > api.MaxPage {
		return 0, fmt.Errorf("%w: a page has 1 to %d rows", api.ErrInvalid, api.MaxPage)
	}
	return cmp.Or(limit, api.DefaultPage), nil
}

func badCursor(cursor string) error {
	return fmt.Errorf("%w: no list has the cursor %.80q", api.ErrInvalid, cursor)
}

// Limits is for admin.Steward.
func (h *Host) Limits() []api.Limit {
	return h.steward.limits.list(h.steward.now(), h.server.Limits, h.registry.Totals())
}

// Follow is for admin.Steward.
func (h *Host) Follow(ctx context.Context, since string, f func(restart bool, changes []api.Change) error) error {
	return h.overview.Follow(ctx, since, f)
}

// Wait is for admin.Steward.
func (h *Host) Wait(ctx context.Context, since string, wait time.Duration) error {
	return h.overview.Wait(ctx, since, wait)
}

// WaitCluster is for admin.Steward. It waits as clients do.
func (h *Host) WaitCluster(ctx context.Context, id string, since uint64, wait time.Duration) error {
	parsed, err := xlreg.ParseClusterID(id)
	if err != nil {
		return noCluster(id)
	}
	if wait <= 0 {
		return nil
	}
	ready, release, err := h.registry.Await(ctx, &xlreg.Cluster{ID: parsed}, registry.Wait{Since: &since, Limit: wait})
	if err != nil {
		return h.explain(err)
	}
	defer release()
	<-ready.Done()
	return ctx.Err()
}
