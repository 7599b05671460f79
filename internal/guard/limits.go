// Package guard bounds what peers may cost a registry: how many connections a
// Source may have open (Admission), how many of the refused are told why
// (Refusals), how many handshakes are computed at once and for whom next (Turns),
// and how much a Source may write and read (Quota). Limits are their bounds.
//
// Each type stands alone, has a lock of its own, and may be used by any number of
// goroutines. None of them starts a goroutine or touches a connection.
package guard

import (
	"runtime"
	"time"

	"github.com/xlattice/xlreg"
)

// WriteUnit is how many bytes of a record are one write.
const WriteUnit = 4 << 10

// Limits bound what peers may cost. A zero field is its default, which
// DefaultLimits lists.
type Limits struct {
	Connections           int // open at once
	ConnectionsPerAddress int // of those, from one IPv4 address or IPv6 /64
	ConnectionsLoopback   int // the same for each loopback address

	NodesPerMinute    int // new nodes from one address; the first minute's worth at once
	ClustersPerMinute int // new clusters from one address, likewise
	LoopbackPerMinute int // new nodes, and new clusters, from each loopback address

	// Every change of a record is a write, and as many more as it fills WriteUnits.
	WritesPerMinute         int           // from one address, in the long run
	WriteBurst              time.Duration // one address may write this long's worth at once
	WritesPerMinuteLoopback int           // from each loopback address
	WritesPerMinuteTotal    int           // from all addresses but loopback

	ReadMiBPerMinute         int // of rosters to one address
	ReadMiBPerMinuteLoopback int // to each loopback address

	// What is kept at most, from whomever it came. Nodes and members that are there
	// go on when it is reached.
	Nodes, Clusters int
	DataMiB         int // of records

	Hello        time.Duration // for a Hello; the rest of a TLS handshake has three times as long
	CrowdedHello time.Duration // the same while most connections have not said hello
	Message      time.Duration // without a byte of a message that has begun
	Idle         time.Duration // between two messages; a wait is not idle
	Write        time.Duration // without a byte taken of a message that is sent
	Drain        time.Duration // for requests in flight when the server is told to stop

	Handshakes int // computed at once; default the number of processors
}

// DefaultLimits returns the limits of a registry that is told no others. One
// loopback address may hold three quarters of all connections, so that a
// program gone wild on this machine leaves room for its neighbours.
func DefaultLimits() Limits {
	return Limits{
		Connections:           16384,
		ConnectionsPerAddress: 1024,
		ConnectionsLoopback:   12288,
		NodesPerMinute:        1200,
		ClustersPerMinute:     240,
		LoopbackPerMinute:     600_000,

		WritesPerMinute:          600,
		WriteBurst:               4 * time.Minute, // a node and its seat, for as many as may be new
		WritesPerMinuteLoopback:  2_400_000,
		WritesPerMinuteTotal:     240_000,
		ReadMiBPerMinute:         1024,
		ReadMiBPerMinuteLoopback: 1 << 20,
		Nodes:                    1_000_000,
		Clusters:                 1_000_000,
		DataMiB:                  64 << 10,

		Hello:        xlreg.DefaultHelloTimeout,
		CrowdedHello: xlreg.CrowdedHelloTimeout,
		Message:      xlreg.DefaultMessageTimeout,
		Idle:         xlreg.DefaultIdleTimeout,
		Write:        xlreg.DefaultWriteTimeout,
		Drain:        5 * time.Second,
		Handshakes:   runtime.GOMAXPROCS(0),
	}
}

// WithDefaults returns l with its zero fields filled in.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits()
	orDefault(&l.Connections, d.Connections)
	orDefault(&l.ConnectionsPerAddress, d.ConnectionsPerAddress)
	orDefault(&l.ConnectionsLoopback, d.ConnectionsLoopback)
	orDefault(&l.NodesPerMinute, d.NodesPerMinute)
	orDefault(&l.ClustersPerMinute, d.ClustersPerMinute)
	orDefault(&l.LoopbackPerMinute, d.LoopbackPerMinute)
	orDefault(&l.WritesPerMinute, d.WritesPerMinute)
	orDefault(&l.WriteBurst, d.WriteBurst)
	orDefault(&l.WritesPerMinuteLoopback, d.WritesPerMinuteLoopback)
	orDefault(&l.WritesPerMinuteTotal, d.WritesPerMinuteTotal)
	orDefault(&l.ReadMiBPerMinute, d.ReadMiBPerMinute)
	orDefault(&l.ReadMiBPerMinuteLoopback, d.ReadMiBPerMinuteLoopback)
	orDefault(&l.Nodes, d.Nodes)
	orDefault(&l.Clusters, d.Clusters)
	orDefault(&l.DataMiB, d.DataMiB)
	orDefault(&l.Hello, d.Hello)
	orDefault(&l.CrowdedHello, d.CrowdedHello)
	orDefault(&l.Message, d.Message)
	orDefault(&l.Idle, d.Idle)
	orDefault(&l.Write, d.Write)
	orDefault(&l.Drain, d.Drain)
	orDefault(&l.Handshakes, d.Handshakes)
	return l
}

func orDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Refusals returns how many connections over the limits there may be at once for
// being told so, beside those within the limits.
func (l *Limits) Refusals() int { return min(maxRefusals, 1+l.Connections/16) }

// connectionsOf returns how many connections a source may have.
func (l *Limits) connectionsOf(from Source) int {
	if from.loopback {
		return l.ConnectionsLoopback
	}
	return l.ConnectionsPerAddress
}
