package server

import "github.com/xlattice/xlreg/internal/guard"

// Limit is one bound of what peers may cost, and how much of it is used.
type Limit struct {
	Name  string // of the flag that sets it
	Value int
	Unit  string
	Used  int    // by all together, or by the source that uses most
	By    string // that source, if it is one
}

// Limits returns the bounds that sources meet, as they are used now.
func (s *Server) Limits() []Limit {
	now, l := s.now(), s.limits.Load()
	open, loopback, others := s.admission.Usage()
	limits := []Limit{
		{Name: guard.MaxConnections, Value: l.Connections, Unit: "connections", Used: open},
		used(guard.MaxConnectionsPerAddress, l.ConnectionsPerAddress, "connections", others),
		used(guard.MaxConnectionsLoopback, l.ConnectionsLoopback, "connections", loopback),
	}
	_, newNodes, nodes := s.meters.nodes.Usage(now)
	_, newClusters, clusters := s.meters.clusters.Usage(now)
	if newClusters.Used > newNodes.Used {
		newNodes = newClusters // one limit for both
	}
	limits = append(limits,
		used(guard.NewNodesPerMinute, l.NodesPerMinute, "nodes/min", nodes),
		used(guard.NewClustersPerMinute, l.ClustersPerMinute, "clusters/min", clusters),
		used(guard.NewPerMinuteLoopback, l.LoopbackPerMinute, "nodes or clusters/min", newNodes))
	total, loopback, others := s.meters.writes.Usage(now)
	limits = append(limits,
		used(guard.WritesPerMinute, l.WritesPerMinute, "writes/min", others),
		used(guard.WritesPerMinuteLoopback, l.WritesPerMinuteLoopback, "writes/min", loopback),
		Limit{Name: guard.WritesPerMinuteTotal, Value: l.WritesPerMinuteTotal, Unit: "writes/min", Used: total})
	_, loopback, others = s.meters.reads.Usage(now)
	others.Used, loopback.Used = toMiB(others.Used), toMiB(loopback.Used)
	return append(limits,
		used(guard.ReadMiBPerMinute, l.ReadMiBPerMinute, "MiB/min", others),
		used(guard.ReadMiBPerMinuteLoopback, l.ReadMiBPerMinuteLoopback, "MiB/min", loopback))
}

// toMiB rounds up, so that whoever has read something is named.
func toMiB(units int) int { return (units + readUnits - 1) / readUnits }

func used(name string, value int, unit string, use guard.Use) Limit {
	l := Limit{Name: name, Value: value, Unit: unit, Used: use.Used}
	if use.Used > 0 {
		l.By = use.By.String()
	}
	return l
}
