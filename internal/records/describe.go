package records

import (
	"fmt"

	"github.com/xlattice/xlreg"
)

// Describe names the record that belongs under key, as people know it. The key may be
// damaged itself, so every length in it is checked.
func Describe(key string) string {
	if key == "" {
		return "record without a key"
	}
	if shared(key) != nil {
		return fmt.Sprintf("%.80q, which servers share", key)
	}
	root, rest := key[:1], key[1:]
	switch root {
	case nodeRoot:
		return fmt.Sprintf("node %.64x", rest)
	case nodeOfKeyRoot:
		return fmt.Sprintf("index entry of the sig key %.64x", rest)
	case nameRoot:
		return fmt.Sprintf("cluster name %.80q", rest)
	case keyedNameRoot:
		n := min(len(rest), xlreg.ClusterKeyLen)
		return fmt.Sprintf("cluster name %.80q with key %x", rest[n:], rest[:n])
	}
	id := clusterIn(key)
	if !isID(string(id)) {
		return fmt.Sprintf("record of no known kind under %.64x", key)
	}
	return describeIn(root, id, key[len(inCluster(root, id)):], key)
}

// describeIn names one of the records of a cluster by what stands behind the
// cluster's ID in the key.
func describeIn(root string, id xlreg.ClusterID, rest, key string) string {
	switch {
	case root == clusterRoot && rest == "":
		return fmt.Sprintf("cluster %v", id)
	case root == clusterRoot && len(rest) == 2:
		return fmt.Sprintf("seat %d in cluster %v", int(rest[0])<<8|int(rest[1]), id)
	case root == seatsOfKeyRoot:
		return fmt.Sprintf("index entry of the sig key %.64x in cluster %v", rest, id)
	case root == inviteRoot:
		return fmt.Sprintf("invite %.64x of cluster %v", rest, id)
	case root == useRoot:
		return fmt.Sprintf("use %.128x of an invite of cluster %v", rest, id)
	case root == banRoot:
		return fmt.Sprintf("ban of the sig key %.64x in cluster %v", rest, id)
	case root == seatByIDRoot:
		return fmt.Sprintf("index entry of node %.64x in cluster %v", rest, id)
	case root == seatByNameRoot:
		return fmt.Sprintf("index entry of member %.80q in cluster %v", rest, id)
	}
	return fmt.Sprintf("record of no known kind under %.64x", key)
}
