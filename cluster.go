package xlreg

// ClusterAttrs are the attribute bits of a cluster.
type ClusterAttrs uint64

// The bits of ClusterAttrs.
const (
	ClusterEphemeral ClusterAttrs = 1 // it goes with its last member
	ClusterDeleted   ClusterAttrs = 2 // no effect yet
	ClusterUnique    ClusterAttrs = 4 // the registry makes the name new by appending to it

	KnownClusterAttrs = ClusterEphemeral | ClusterDeleted | ClusterUnique
)

// ClusterKey is the public half of a cluster's own key: 32 bytes, Ed25519. Whoever
// holds the private half, the owner, decides who becomes a member. An open cluster,
// in which anyone may sit down, has none; then it is empty.
type ClusterKey string

// Validate returns an error of kind ErrIllFormedName unless k is empty or has the
// length of a key. Every string of that length is a key.
func (k ClusterKey) Validate() error {
	if k != "" && len(k) != ClusterKeyLen {
		return Errorf(ErrIllFormedName, "cluster key of %d bytes: want %d", len(k), ClusterKeyLen)
	}
	return nil
}

// Cluster is what is fixed about a cluster when it is created.
type Cluster struct {
	ID            ClusterID
	Name          Name
	Key           ClusterKey // empty: an open cluster
	Attrs         ClusterAttrs
	MaxSize       int // members, MinClusterSize to MaxClusterSize
	EndpointCount int // endpoints each member must have, 1 to MaxEndpoints
}

// Classic reports whether a cluster of this kind exists for peers over a classic
// carrier, which know neither cluster keys nor more than 64 members.
func (c *Cluster) Classic() bool { return c.Key == "" && c.MaxSize <= MaxClassicClusterSize }

// ClusterState is what changes about a cluster. Over a classic carrier none of it
// travels, and all of it is zero.
type ClusterState struct {
	Epoch    uint64 // 1 at first; members are the seats of this epoch
	Revision uint64 // grows with each change of members, epoch or orders
	Orders   uint64 // how many orders of the owner have been done
}

// ClusterSpec is what somebody asks a new cluster to be. The numbers are as they
// came; the registry brings them into range.
type ClusterSpec struct {
	Name          string // empty: the registry makes one up
	MaxSize       uint32
	EndpointCount uint32
	Attrs         ClusterAttrs

	Key      ClusterKey // empty: an open cluster
	OwnerSig []byte     // by Key, over all of the above
}

// ClusterRef names a cluster by ID, or by name: the open cluster of that name, or
// with Key the one of that name and key. Where both are given the ID counts, and Key,
// if given, must be the cluster's. The zero value names none.
type ClusterRef struct {
	ID   ClusterID
	Name Name
	Key  ClusterKey
}

// IsZero reports whether r names no cluster. A key alone names none.
func (r ClusterRef) IsZero() bool { return r.ID == "" && r.Name == "" }

// Member is a node with its place in a cluster.
type Member struct {
	Index int // 0 to MaxSize-1; it does not change while the member stays
	Token Token
}

// Roster is who is in a cluster at one moment, in the order of their indexes.
// A Roster is never changed once it is shared.
type Roster struct {
	Cluster Cluster
	State   ClusterState
	Members []Member
}

// Seats returns the indexes that are taken.
func (r *Roster) Seats() Seats {
	var s Seats
	for i := range r.Members {
		s = s.With(r.Members[i].Index)
	}
	return s
}

// Full reports whether every place is taken.
func (r *Roster) Full() bool { return len(r.Members) >= r.Cluster.MaxSize }
