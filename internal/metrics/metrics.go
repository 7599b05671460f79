// Package metrics counts what a registry does, for Prometheus. Every label has a small,
// closed set of values: never a name, an address or an ID, so that no stranger can make
// series. Every series is there from the start.
//
// What happens often is counted where it happens and read when somebody asks: that is the
// collector's part. What comes as an event is counted here.
package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/metered"
)

// Metrics are the metrics of one registry.
type Metrics struct {
	gatherer *prometheus.Registry
	events   map[registry.EventKind]prometheus.Counter // but for EventRefused: those are counted by the collector
	formed   []prometheus.Observer                     // by class of size
	views    transactions
	updates  transactions
}

// transactions are the series of one kind of transaction.
type transactions struct {
	took                prometheus.Observer
	kept, failed, lost  prometheus.Counter
	refused, conflicted prometheus.Counter
}

// class is a class of cluster sizes.
type class struct {
	name string
	most int // members
}

// classes are the values of the label size.
var classes = []class{{"2", 2}, {"3-5", 5}, {"6-16", 16}, {"17-64", 64}, {"65-1024", 1024}}

// What histograms are divided by, in seconds: a formation takes milliseconds on one
// machine, and as long as people take elsewhere; a transaction takes microseconds in
// memory, and seconds when its database is about to give up.
var (
	formationBuckets   = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	transactionBuckets = []float64{.00001, .0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}
)

// New returns Metrics of a program of this version. Attach adds what a registry counts
// itself.
func New(version string) *Metrics {
	m := &Metrics{gatherer: prometheus.NewRegistry(), events: make(map[registry.EventKind]prometheus.Counter)}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "xlreg_build_info", Help: "1, with the version of the program.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.gatherer.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registerEvents()
	m.registerTransactions()
	return m
}

func (m *Metrics) registerEvents() {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xlreg_events_total", Help: "What this server has done to clusters, nodes and seats: seats whose lease ran out are \"lapsed\".",
	}, []string{"event"})
	formed := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "xlreg_cluster_formation_seconds", Help: "Time from the creation of a cluster until it was full, by the number of its members.",
		Buckets: formationBuckets,
	}, []string{"size"})
	m.gatherer.MustRegister(events, formed)
	for _, kind := range registry.EventKinds() {
		if kind != registry.EventRefused {
			m.events[kind] = events.WithLabelValues(kind.String())
		}
	}
	for _, c := range classes {
		m.formed = append(m.formed, formed.WithLabelValues(c.name))
	}
}

func (m *Metrics) registerTransactions() {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "xlreg_store_transaction_seconds", Help: "Time that transactions took, including the wait for a commit that several share.",
		Buckets: transactionBuckets,
	}, []string{"kind"})
	ended := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xlreg_store_transactions_total",
		Help: "Transactions by how they ended: kept, refused by what was found in them, failed because of the store, or unknown, when the answer got lost.",
	}, []string{"kind", "result"})
	conflicts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xlreg_store_conflicts_total", Help: "Transactions that were run again because of another one.",
	}, []string{"kind"})
	m.gatherer.MustRegister(took, ended, conflicts)
	of := func(kind string) transactions {
		return transactions{
			took: took.WithLabelValues(kind), conflicted: conflicts.WithLabelValues(kind),
			kept: ended.WithLabelValues(kind, "kept"), refused: ended.WithLabelValues(kind, "refused"),
			failed: ended.WithLabelValues(kind, "failed"), lost: ended.WithLabelValues(kind, "unknown"),
		}
	}
	m.views, m.updates = of("view"), of("update")
}

// Observe counts an event.
func (m *Metrics) Observe(e registry.Event) {
	if counter := m.events[e.Kind]; counter != nil {
		counter.Inc()
	}
	if e.Kind == registry.EventFormed && e.Took >= 0 {
		m.formed[classOf(e.Cluster.MaxSize)].Observe(e.Took.Seconds())
	}
}

func classOf(size int) int {
	for i, c := range classes {
		if size <= c.most {
			return i
		}
	}
	return len(classes) - 1
}

// ObserveStore counts a transaction.
func (m *Metrics) ObserveStore(tx metered.Transaction) {
	of := &m.views
	if tx.Update {
		of = &m.updates
	}
	of.took.Observe(tx.Took.Seconds())
	if tx.Runs > 1 {
		of.conflicted.Add(float64(tx.Runs - 1))
	}
	of.count(&tx)
}

func (t *transactions) count(tx *metered.Transaction) {
	switch {
	case tx.Err == nil:
		t.kept.Inc()
	case tx.Refused:
		t.refused.Inc()
	case errors.Is(tx.Err, store.ErrUnknown):
		t.lost.Inc()
	default:
		t.failed.Inc()
	}
}

// scrapeTime bounds how long one who asks may keep an answer from being sent.
const scrapeTime = 10 * time.Second

// Handler answers with all metrics.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: 4, Timeout: scrapeTime, EnableOpenMetrics: true,
	})
}
