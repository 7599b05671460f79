package records

import (
	"encoding/binary"

	"github.com/xlattice/xlreg"
)

// The keys, by their first byte. An ID inside a key stands behind its length, so
// that no ID's keys are among those of a longer one.
//
//	n ID                     Node
//	c len ID                 Cluster, the guard of its seats
//	c len ID index(2)        Seat
//	i len ID node ID         SeatRef: the seat of a node
//	m len ID member name     SeatRef: the seat of a name
//	a cluster name           ClusterName
const (
	nodeRoot       = "n"
	clusterRoot    = "c"
	seatByIDRoot   = "i"
	seatByNameRoot = "m"
	nameRoot       = "a"
)

// Clusters is the prefix of the keys of all clusters and their seats, for Watch.
const Clusters = clusterRoot

func nodeKey(id xlreg.NodeID) string { return nodeRoot + string(id) }

func nameKey(name xlreg.Name) string { return nameRoot + string(name) }

// clusterKey is also what the keys of the cluster's seats begin with.
func clusterKey(id xlreg.ClusterID) string { return inCluster(clusterRoot, id) }

// seatKey sorts by index within the cluster.
func seatKey(id xlreg.ClusterID, index int) string {
	return string(binary.BigEndian.AppendUint16([]byte(clusterKey(id)), uint16(index)))
}

func seatByIDKey(id xlreg.ClusterID, node xlreg.NodeID) string {
	return inCluster(seatByIDRoot, id) + string(node)
}

func seatByNameKey(id xlreg.ClusterID, name xlreg.Name) string {
	return inCluster(seatByNameRoot, id) + string(name)
}

func inCluster(root string, id xlreg.ClusterID) string {
	return root + string([]byte{byte(len(id))}) + string(id)
}

// isClusterKey tells the key of a cluster from those of its seats.
func isClusterKey(key string) bool {
	return len(key) >= 2 && key[:1] == clusterRoot && len(key) == 2+int(key[1])
}
