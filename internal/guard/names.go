package guard

import "github.com/xlattice/xlreg"

// The limits that peers meet, by the names of the flags that set them.
const (
	MaxConnections           = "max-connections"
	MaxConnectionsPerAddress = "max-connections-per-address"
	MaxConnectionsLoopback   = "max-connections-loopback"
	NewNodesPerMinute        = "new-nodes-per-minute"
	NewClustersPerMinute     = "new-clusters-per-minute"
	NewPerMinuteLoopback     = "new-per-minute-loopback"
	WritesPerMinute          = "writes-per-minute"
	WritesPerMinuteLoopback  = "writes-per-minute-loopback"
	WritesPerMinuteTotal     = "writes-per-minute-total"
	ReadMiBPerMinute         = "read-mib-per-minute"
	ReadMiBPerMinuteLoopback = "read-mib-per-minute-loopback"
	MaxNodes                 = "max-nodes"
	MaxClusters              = "max-clusters"
	MaxDataMiB               = "max-data-mib"
)

// Names are those of the limits that a Rate consists of.
type Names struct{ Source, Loopback, Total string }

// Met is the error of whoever has met a limit.
type Met struct {
	Limit string // its name
	Err   *xlreg.Error
}

// Error returns what the peer is told, which says nothing of the limit.
func (m *Met) Error() string { return m.Err.Error() }

// Unwrap returns the error that the peer is told.
func (m *Met) Unwrap() error { return m.Err }

// LimitNames returns the names of all limits that peers meet.
func LimitNames() []string {
	return []string{
		MaxConnections, MaxConnectionsPerAddress, MaxConnectionsLoopback,
		NewNodesPerMinute, NewClustersPerMinute, NewPerMinuteLoopback,
		WritesPerMinute, WritesPerMinuteLoopback, WritesPerMinuteTotal,
		ReadMiBPerMinute, ReadMiBPerMinuteLoopback,
		MaxNodes, MaxClusters, MaxDataMiB,
	}
}
