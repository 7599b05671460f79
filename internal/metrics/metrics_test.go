package metrics

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/metered"
	"github.com/xlattice/xlreg/internal/wire"
)

// source is a registry of which everything is known.
type source struct {
	stats    server.Stats
	registry api.Registry
	limits   []api.Limit
}

func (s *source) Stats() server.Stats    { return s.stats }
func (s *source) Registry() api.Registry { return s.registry }
func (s *source) Limits() []api.Limit    { return s.limits }

func some() *source {
	until := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	return &source{
		stats: server.Stats{
			Open: 3, Waiting: 2, FailedHandshakes: 4, Panics: 1, Turns: 5,
			Sessions: map[xlreg.Protocol]uint64{xlreg.Protocol20: 7},
			Ended:    map[server.SessionEnd]uint64{{Protocol: xlreg.Protocol19, End: server.EndBye}: 6},
			Requests: map[wire.Op]uint64{wire.OpJoin: 9, 0: 1, wire.OpAck: 1},
			Errors: map[server.Refusal]uint64{
				{Op: wire.OpJoin, Kind: xlreg.ErrClusterFull}: 8, {Op: wire.OpAck, Kind: xlreg.ErrWrongState}: 1, {Op: wire.OpJoin}: 2,
			},
		},
		registry: api.Registry{
			ByState: map[api.State]int{api.StateForming: 11}, Members: 12, Nodes: 13, Bytes: 14, Ready: true,
			CertificateUntil: &until, FormerKeyUntil: &until,
		},
		limits: []api.Limit{{Name: "max-connections", Value: 100, Refused: 15}},
	}
}

func attached(t *testing.T, s Source) *Metrics {
	t.Helper()
	m := New("1.2.3")
	if err := m.Attach(s, func() uint64 { return 16 }); err != nil {
		t.Fatal(err)
	}
	return m
}

// text is what Prometheus is told.
func text(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusOK {
		t.Fatalf("answer %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestValues(t *testing.T) {
	m := attached(t, some())
	m.Observe(registry.Event{Kind: registry.EventLapsed})
	m.Observe(registry.Event{Kind: registry.EventFormed, Cluster: xlreg.Cluster{MaxSize: 4}, Took: 20 * time.Millisecond})
	m.Observe(registry.Event{Kind: registry.EventFormed, Cluster: xlreg.Cluster{MaxSize: 4}, Took: -1})
	m.Observe(registry.Event{Kind: registry.EventRefused})
	for _, tx := range []metered.Transaction{
		{Runs: 1}, {Update: true, Runs: 3}, {Update: true, Runs: 1, Err: errors.New("x"), Refused: true},
		{Update: true, Runs: 1, Err: fmt.Errorf("%w: x", store.ErrUnknown)}, {Update: true, Err: errors.New("x")},
	} {
		tx.Took = 2 * time.Millisecond
		m.ObserveStore(tx)
	}
	got := strings.Split(text(t, m), "\n")
	for _, want := range []string{
		`xlreg_build_info{version="1.2.3"} 1`,
		`xlreg_events_total{event="lapsed"} 1`,
		`xlreg_events_total{event="formed"} 2`,
		`xlreg_cluster_formation_seconds_bucket{size="3-5",le="0.01"} 0`,
		`xlreg_cluster_formation_seconds_bucket{size="3-5",le="0.025"} 1`,
		`xlreg_cluster_formation_seconds_count{size="3-5"} 1`,
		`xlreg_cluster_formation_seconds_count{size="2"} 0`,
		`xlreg_store_transactions_total{kind="view",result="kept"} 1`,
		`xlreg_store_transactions_total{kind="update",result="kept"} 1`,
		`xlreg_store_transactions_total{kind="update",result="refused"} 1`,
		`xlreg_store_transactions_total{kind="update",result="unknown"} 1`,
		`xlreg_store_transactions_total{kind="update",result="failed"} 1`,
		`xlreg_store_conflicts_total{kind="update"} 2`,
		`xlreg_store_conflicts_total{kind="view"} 0`,
		`xlreg_store_transaction_seconds_bucket{kind="update",le="0.0025"} 4`,
		`xlreg_store_commits_total 16`,
		`xlreg_sessions_begun_total{protocol="2.0"} 7`,
		`xlreg_sessions_total{end="bye",protocol="1.9"} 6`,
		`xlreg_sessions_total{end="idle",protocol="1.8"} 0`,
		`xlreg_requests_total{op="Join"} 9`,
		`xlreg_requests_total{op="other"} 2`,
		`xlreg_request_errors_total{error="cluster_is_full",op="Join"} 8`,
		`xlreg_request_errors_total{error="internal",op="Join"} 2`,
		`xlreg_request_errors_total{error="invalid_msg_type_for_current_state",op="other"} 1`,
		`xlreg_connections 3`, `xlreg_waiting_requests 2`, `xlreg_handshakes_waiting 5`,
		`xlreg_handshakes_failed_total 4`, `xlreg_faults_total 1`,
		`xlreg_limit{limit="max-connections"} 100`, `xlreg_limit_refusals_total{limit="max-connections"} 15`,
		`xlreg_clusters{state="forming"} 11`, `xlreg_clusters{state="full"} 0`,
		`xlreg_seats 12`, `xlreg_nodes 13`, `xlreg_data_bytes 14`, `xlreg_ready 1`, `xlreg_draining 0`,
		`xlreg_certificate_expiry_timestamp_seconds 1.798859045e+09`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no line %s", want)
		}
	}
}

// Prometheus' own habits for names, units and help.
func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(attached(t, some()).gatherer)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Whatever happens, and whoever does it, makes no series that was not there before.
func TestNoNewSeries(t *testing.T) {
	s := some()
	m := attached(t, s)
	before, err := testutil.GatherAndCount(m.gatherer)
	if err != nil {
		t.Fatal(err)
	}
	for kind := range registry.EventRefused + 5 {
		for size := range 2000 {
			m.Observe(registry.Event{
				Kind: kind, Cluster: xlreg.Cluster{Name: xlreg.Name(fmt.Sprint("c", size)), MaxSize: size}, By: registry.Actor{From: fmt.Sprint(size)},
			})
		}
	}
	for op := range wire.Op(100) {
		s.stats.Requests[op]++
		for kind := range xlreg.Kind(255) {
			s.stats.Errors[server.Refusal{Op: op, Kind: kind}]++
		}
	}
	for p := range xlreg.Protocol(10) {
		for end := range server.End(100) {
			s.stats.Ended[server.SessionEnd{Protocol: p, End: end}]++
		}
	}
	after, err := testutil.GatherAndCount(m.gatherer)
	if err != nil || after != before {
		t.Errorf("%d series, %d before: %v", after, before, err)
	}
}
