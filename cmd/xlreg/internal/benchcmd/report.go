package benchcmd

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/bench"
)

// reportJSON is what bench tells machines. What is not known is null.
type reportJSON struct {
	Machine  machineJSON  `json:"machine"`
	Registry registryJSON `json:"registry"`
	Results  []resultJSON `json:"results"`
}

// machineJSON says what figures were measured on.
type machineJSON struct {
	OS         string  `json:"os"`
	Arch       string  `json:"arch"`
	Processors int     `json:"processors"`
	Go         string  `json:"go"`
	PrivateOp  float64 `json:"rsa_private_operation_ms"` // of the registry's key
	KeyBits    int     `json:"key_bits"`                 // of that
	Key        string  `json:"member_key"`               // p256 or rsa2048
}

type registryJSON struct {
	URL *string `json:"url"` // null: one that ran along
}

// resultJSON is one line of results.
type resultJSON struct {
	Operation    string   `json:"operation"`
	Carrier      string   `json:"carrier"`
	Store        *string  `json:"store"`
	Members      *int     `json:"members"`     // of a cluster
	Connections  *int     `json:"connections"` // open at once
	Runs         int      `json:"runs"`
	Operations   int      `json:"operations"` // in all runs
	PerSecond    float64  `json:"per_second"`
	P50          float64  `json:"p50_ms"`
	P90          float64  `json:"p90_ms"`
	P99          float64  `json:"p99_ms"`
	ServerCPU    *float64 `json:"server_cpu_ms"` // for one operation
	ClientCPU    *float64 `json:"client_cpu_ms"`
	ServerMemory *int64   `json:"server_memory_bytes"` // for one connection
}

// report tells what a bench finds: to people a line as soon as it is there, to
// machines a document at the end.
type report struct {
	g      *cli.Globals
	line   *cli.StatusLine
	doc    reportJSON
	titled string // the kind of result that the last line was
}

func (b *bencher) newReport() (*report, error) {
	r := &report{g: b.g, line: b.line}
	key := b.registry.Sig
	private, err := bench.PrivateOperation(key)
	if err != nil {
		return nil, err
	}
	r.doc.Machine = machineJSON{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		PrivateOp: milliseconds(private), KeyBits: key.Public().Bits(), Key: b.key,
	}
	r.doc.Results = []resultJSON{}
	if b.target != nil {
		url, err := b.target.URL()
		if err != nil {
			return nil, err
		}
		r.doc.Registry.URL = &url
	}
	return r, r.begin()
}

// begin says where and what figures are from.
func (r *report) begin() error {
	m, registry := &r.doc.Machine, "processes of this program, one for each store"
	if r.doc.Registry.URL != nil {
		registry = *r.doc.Registry.URL
	}
	return r.print(fmt.Sprintf("machine   %d processors, %s/%s, %s\n", m.Processors, m.OS, m.Arch, m.Go) +
		fmt.Sprintf("          an RSA-%d private operation takes %s ms\n", m.KeyBits, figures(m.PrivateOp)) +
		fmt.Sprintf("registry  %s\n", registry) +
		fmt.Sprintf("members   with keys of kind %s\n", m.Key) +
		"figures   times in ms; CPU is processor time for one operation\n")
}

// end tells machines.
func (r *report) end() error {
	if r.g.Output != "json" {
		return nil
	}
	return r.g.PrintJSON(&r.doc)
}

// print writes text for people.
func (r *report) print(text string) error {
	if r.g.Output == "json" {
		return nil
	}
	r.line.Show("") // it may be on the same terminal
	return r.g.PrintText(bytes.NewBufferString(text))
}

// reportAll tells what samples of each load say.
func (b *bencher) reportAll(operation string, n int, loads []*bench.Load, samples [][]bench.Sample) error {
	for i, l := range loads {
		if err := b.reportOne(operation, n, l, samples[i]); err != nil {
			return err
		}
	}
	return nil
}

// reportOne tells what samples of one load, and n members or connections, say.
func (b *bencher) reportOne(operation string, n int, l *bench.Load, samples []bench.Sample) error {
	s := bench.Summarize(samples)
	result := resultJSON{
		Operation: operation, Carrier: l.Protocol.String(), Runs: s.Runs, Operations: s.Operations,
		PerSecond: s.PerSecond, P50: milliseconds(s.P50), P90: milliseconds(s.P90), P99: milliseconds(s.P99),
		ServerCPU: knownTime(s.Server), ClientCPU: knownTime(s.Client),
	}
	if l.Process != nil {
		result.Store = &l.Process.Store
	}
	switch operation {
	case ofFormation, ofMembers:
		result.Members = &n
	case idle, waiting, answers:
		result.Connections = &n
	}
	if operation == idle || operation == waiting {
		result.ServerMemory = knownBytes(s.Memory)
	}
	b.out.doc.Results = append(b.out.doc.Results, result)
	return b.out.row(&result)
}

// row writes a line of the table that a result belongs to, with a title if it is the
// first one.
func (r *report) row(result *resultJSON) error {
	kind := result.Operation
	if result.Connections != nil {
		kind = ofConnections
	}
	title := ""
	if kind != r.titled {
		title = "\n" + titleOf(kind, result) + "\n" + layOut(kind, nil)
	}
	r.titled = kind
	return r.print(title + layOut(kind, result))
}

func titleOf(kind string, result *resultJSON) string {
	switch kind {
	case ofFormation:
		return "formation: all connect, join and wait for each other; over 2.0 all verify all"
	case ofSessions:
		return fmt.Sprintf("sessions: connect, register, Bye; %d at once", bench.Clients)
	case ofMembers:
		return fmt.Sprintf("members: read all %d members of a cluster; %d sessions at once", *result.Members, bench.Readers)
	default:
		return fmt.Sprintf("connections: %d opened, idle or waiting, KiB of the server each; their answers", *result.Connections)
	}
}

// column is one of a table. Those with a number are aligned to the right.
type column struct {
	name  string
	width int // negative: aligned to the left, as fmt has it
	value func(*resultJSON) string
}

// columns returns those of a kind of result. All tables fit into 80 characters.
func columns(kind string) []column {
	left := []column{columnCarrier, columnStore, columnRate}
	right := []column{columnP50, columnP90, columnP99, columnServer, columnClient}
	switch kind {
	case ofFormation:
		left = []column{columnMembers, columnCarrier, columnStore}
	case ofConnections:
		left = []column{columnState, columnCarrier, columnRate}
		right = append(right, columnMemory)
	}
	return append(left, right...)
}

// The columns that there are.
var (
	columnMembers = column{"MEMBERS", -9, func(r *resultJSON) string { return fmt.Sprint(*r.Members) }}
	columnState   = column{"STATE", -9, func(r *resultJSON) string { return r.Operation }}
	columnCarrier = column{"CARRIER", -9, func(r *resultJSON) string { return r.Carrier }}
	columnStore   = column{"STORE", -6, func(r *resultJSON) string { return orDash(r.Store, func(s string) string { return s }) }}
	columnRate    = column{"A SECOND", 9, func(r *resultJSON) string { return figures(r.PerSecond) }}
	columnP50     = column{"P50", 8, func(r *resultJSON) string { return figures(r.P50) }}
	columnP90     = column{"P90", 8, func(r *resultJSON) string { return figures(r.P90) }}
	columnP99     = column{"P99", 8, func(r *resultJSON) string { return figures(r.P99) }}
	columnServer  = column{"SERVER CPU", 11, func(r *resultJSON) string { return orDash(r.ServerCPU, figures) }}
	columnClient  = column{"CLIENT CPU", 11, func(r *resultJSON) string { return orDash(r.ClientCPU, figures) }}
	columnMemory  = column{"KIB", 6, func(r *resultJSON) string {
		return orDash(r.ServerMemory, func(n int64) string { return figures(float64(n) / 1024) })
	}}
)

// layOut returns a line of the table of a kind, or its head if there is no result.
func layOut(kind string, result *resultJSON) string {
	var b strings.Builder
	for _, c := range columns(kind) {
		text := c.name
		if result != nil {
			text = c.value(result)
		}
		fmt.Fprintf(&b, "%*s", c.width, text)
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// orDash writes what is known.
func orDash[T any](v *T, write func(T) string) string {
	if v == nil {
		return "-"
	}
	return write(*v)
}

// figures writes a number with three figures, or as many as it has before the point.
func figures(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func knownTime(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	ms := milliseconds(d)
	return &ms
}

func knownBytes(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}
