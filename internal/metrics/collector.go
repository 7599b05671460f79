package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/internal/wire"
)

// Source is a registry that is counted.
type Source interface {
	Stats() server.Stats
	Registry() api.Registry
	Limits() []api.Limit
}

// Attach adds what a registry counts itself; commits returns how many its store has made,
// and is nil if it does not count them. It is called once.
func (m *Metrics) Attach(s Source, commits func() uint64) error {
	return m.gatherer.Register(&collector{source: s, commits: commits})
}

// collector reads what is counted elsewhere.
type collector struct {
	source  Source
	commits func() uint64
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("xlreg_"+name, help, labels, nil)
}

var (
	sessionsDesc    = desc("sessions_total", "Sessions that have ended, by protocol and by how they ended.", "protocol", "end")
	begunDesc       = desc("sessions_begun_total", "Sessions that have begun, by protocol.", "protocol")
	requestsDesc    = desc("requests_total", "Requests of clients, by operation.", "op")
	errorsDesc      = desc("request_errors_total", "Requests that were answered with an error, by operation and kind of error.", "op", "error")
	connectionsDesc = desc("connections", "Connections of clients that are open.")
	waitingDesc     = desc("waiting_requests", "Requests that wait for a cluster to change.")
	turnsDesc       = desc("handshakes_waiting", "Handshakes and signatures that wait for their turn to be computed.")
	failedDesc      = desc("handshakes_failed_total", "Connections that never became a session.")
	faultsDesc      = desc("faults_total", "Sessions that ended by a fault of the program.")
	limitsDesc      = desc("limit", "The limits of the registry, in the unit of the flag that sets it.", "limit")
	refusedDesc     = desc("limit_refusals_total", "How often a limit was met.", "limit")
	clustersDesc    = desc("clusters", "Clusters, by how far they have come.", "state")
	seatsDesc       = desc("seats", "Members of all clusters.")
	nodesDesc       = desc("nodes", "Nodes that are registered.")
	bytesDesc       = desc("data_bytes", "Size of all records.")
	readyDesc       = desc("ready", "1 if clients are served.")
	drainingDesc    = desc("draining", "1 if no new connections are taken.")
	commitsDesc     = desc("store_commits_total", "Commits of the store; all updates that are ready share one.")
	certDesc        = desc("certificate_expiry_timestamp_seconds", "When the certificate of the admin side expires.")
	formerDesc      = desc("former_key_expiry_timestamp_seconds", "Until when clients that pin the sig key before this one find the registry.")

	all = []*prometheus.Desc{
		sessionsDesc, begunDesc, requestsDesc, errorsDesc, connectionsDesc, waitingDesc, turnsDesc, failedDesc, faultsDesc,
		limitsDesc, refusedDesc, clustersDesc, seatsDesc, nodesDesc, bytesDesc, readyDesc, drainingDesc, commitsDesc, certDesc, formerDesc,
	}
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range all {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := sink(to)
	stats := c.source.Stats()
	s.connections(&stats)
	s.requests(&stats)
	s.limits(c.source.Limits())
	r := c.source.Registry()
	s.registry(&r)
	if c.commits != nil {
		s.count(commitsDesc, c.commits())
	}
}

// sink takes metrics.
type sink chan<- prometheus.Metric

func (s sink) count(d *prometheus.Desc, n uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) connections(stats *server.Stats) {
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20} {
		s.count(begunDesc, stats.Sessions[p], p.String())
		for _, end := range server.Ends() {
			s.count(sessionsDesc, stats.Ended[server.SessionEnd{Protocol: p, End: end}], p.String(), end.String())
		}
	}
	s.gauge(connectionsDesc, float64(stats.Open))
	s.gauge(waitingDesc, float64(stats.Waiting))
	s.gauge(turnsDesc, float64(stats.Turns))
	s.count(failedDesc, stats.FailedHandshakes)
	s.count(faultsDesc, stats.Panics)
}

// opNames are the operations that clients send; what else they send is "other".
var opNames = map[wire.Op]string{
	wire.OpRegCredRequest: "RegCredRequest", wire.OpMember: "Member", wire.OpCreate: "Create", wire.OpJoin: "Join",
	wire.OpGetCluster: "GetCluster", wire.OpBye: "Bye", wire.OpLeave: "Leave", wire.OpOrder: "Order",
}

func (s sink) requests(stats *server.Stats) {
	var other uint64
	for op, n := range stats.Requests {
		if _, ok := opNames[op]; !ok {
			other += n
		}
	}
	for op, name := range opNames {
		s.count(requestsDesc, stats.Requests[op], name)
	}
	s.count(requestsDesc, other, "other")
	s.errors(stats.Errors)
}

// errors has one series for each operation and kind of error, so that none appears with its
// first event. Those of operations that no client ought to send are one.
func (s sink) errors(of map[server.Refusal]uint64) {
	counts := make(map[[2]string]uint64)
	for _, op := range append([]string{"other"}, values(opNames)...) {
		for _, kind := range xlreg.Kinds() {
			counts[[2]string{op, kindName(kind)}] = 0
		}
		counts[[2]string{op, kindName(0)}] = 0
	}
	for r, n := range of {
		op, ok := opNames[r.Op]
		if !ok {
			op = "other"
		}
		counts[[2]string{op, kindName(r.Kind)}] += n
	}
	for labels, n := range counts {
		s.count(errorsDesc, n, labels[0], labels[1])
	}
}

func (s sink) limits(limits []api.Limit) {
	for _, l := range limits {
		s.gauge(limitsDesc, float64(l.Value), l.Name)
		s.count(refusedDesc, l.Refused, l.Name)
	}
}

func (s sink) registry(r *api.Registry) {
	s.clusters(r)
	s.gauge(nodesDesc, float64(r.Nodes))
	s.gauge(bytesDesc, float64(r.Bytes))
	s.gauge(readyDesc, number(r.Ready))
	s.gauge(drainingDesc, number(r.Draining))
	s.until(certDesc, r.CertificateUntil)
	s.until(formerDesc, r.FormerKeyUntil)
}

// clusters leaves out what is not known: a server that shares its store reads all clusters
// only when somebody asks for them, and no number is better than a wrong one.
func (s sink) clusters(r *api.Registry) {
	if r.ByState == nil {
		return
	}
	for _, state := range api.States() {
		s.gauge(clustersDesc, float64(r.ByState[state]), string(state))
	}
	s.gauge(seatsDesc, float64(r.Members))
}

// until leaves out what does not expire: no timestamp would say so.
func (s sink) until(d *prometheus.Desc, t *time.Time) {
	if t != nil {
		s.gauge(d, float64(t.UnixMilli())/1000)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
