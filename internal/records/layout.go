package records

import (
	"encoding/binary"

	"github.com/xlattice/xlreg"
)

// The keys, by their first byte. An ID inside a key stands behind its length, so
// that no ID's keys are among those of a longer one.
//
//	n ID                        Node
//	y key sum                   NodeOfKey
//	c len ID                    Cluster
//	c len ID index(2)           Seat
//	k len ID key sum            SeatRefs: the seats of a sig key
//	m len ID member name        SeatRef: the seat of a name
//	a cluster name              ClusterName, of an open cluster
//	o cluster key(32) name      ClusterName, of a keyed one
//	v len ID invite key         Invite
//	u len ID invite key key sum Use
//	b len ID key sum            Ban
//	i len ID node ID            SeatRef, before version 2
//
// What servers that share a store tell each other lies under words, so that people who
// look into a database find it:
//
//	registry                    Identity
//	schema                      Schema
//	totals                      Counted
//	servers/UUID                Server, as long as it is there
//	work                        Work, while something is done with all records
const (
	nodeRoot       = "n"
	nodeOfKeyRoot  = "y"
	clusterRoot    = "c"
	seatsOfKeyRoot = "k"
	seatByNameRoot = "m"
	nameRoot       = "a"
	keyedNameRoot  = "o"
	inviteRoot     = "v"
	useRoot        = "u"
	banRoot        = "b"
	seatByIDRoot   = "i"

	identityKey = "registry"
	serverRoot  = "servers/"
	workKey     = "work"
)

// roots are what the keys of nodes and clusters begin with.
var roots = []string{
	nameRoot, banRoot, clusterRoot, seatByIDRoot, seatsOfKeyRoot, seatByNameRoot, nodeRoot,
	keyedNameRoot, useRoot, inviteRoot, nodeOfKeyRoot,
}

// What a registry watches: clusters and their seats, the servers that there are, and
// what the last count said.
const (
	Clusters = clusterRoot
	Servers  = serverRoot
	Count    = "totals"
	Schema   = "schema"
)

func nodeKey(id xlreg.NodeID) string { return nodeRoot + string(id) }

func nodeOfKeyKey(sum xlreg.KeySum) string { return nodeOfKeyRoot + string(sum) }

// nameKey is that of the open cluster with this name, or of the one with this key.
func nameKey(name xlreg.Name, key xlreg.ClusterKey) string {
	if key == "" {
		return nameRoot + string(name)
	}
	return keyedNameRoot + string(key) + string(name)
}

// clusterKey is also what the keys of the cluster's seats begin with.
func clusterKey(id xlreg.ClusterID) string { return inCluster(clusterRoot, id) }

// seatKey sorts by index within the cluster.
func seatKey(id xlreg.ClusterID, index int) string {
	return string(binary.BigEndian.AppendUint16([]byte(clusterKey(id)), uint16(index)))
}

func seatsOfKeyKey(id xlreg.ClusterID, sum xlreg.KeySum) string {
	return inCluster(seatsOfKeyRoot, id) + string(sum)
}

func seatByNameKey(id xlreg.ClusterID, name xlreg.Name) string {
	return inCluster(seatByNameRoot, id) + string(name)
}

func inviteKey(id xlreg.ClusterID, invite xlreg.ClusterKey) string {
	return inCluster(inviteRoot, id) + string(invite)
}

func useKey(id xlreg.ClusterID, invite xlreg.ClusterKey, sum xlreg.KeySum) string {
	return inCluster(useRoot, id) + string(invite) + string(sum)
}

func banKey(id xlreg.ClusterID, sum xlreg.KeySum) string {
	return inCluster(banRoot, id) + string(sum)
}

func inCluster(root string, id xlreg.ClusterID) string {
	return root + string([]byte{byte(len(id))}) + string(id)
}

// SeatAt returns the cluster of the seat whose record lies under key, and false for any
// other key.
func SeatAt(key string) (xlreg.ClusterID, bool) {
	if len(key) < 4 || key[:1] != clusterRoot || len(key) != 4+int(key[1]) {
		return "", false
	}
	return xlreg.ClusterID(key[2 : len(key)-2]), true
}

// ClusterAt returns the cluster whose record lies under key, and false for any other
// key, such as that of one of its seats.
func ClusterAt(key string) (xlreg.ClusterID, bool) {
	if len(key) < 2 || key[:1] != clusterRoot || len(key) != 2+int(key[1]) {
		return "", false
	}
	return xlreg.ClusterID(key[2:]), true
}

// GuardOf returns the key of the record that has to be put with the one under key, if
// there is one; see store.Reader.
func GuardOf(key string) (string, bool) {
	id, ok := SeatAt(key)
	return clusterKey(id), ok
}
