package xlreg

import "math/bits"

// ClusterAttrs are the attribute bits of a cluster.
type ClusterAttrs uint64

// The bits of ClusterAttrs. The first two have no effect yet.
const (
	ClusterEphemeral ClusterAttrs = 1
	ClusterDeleted   ClusterAttrs = 2
	ClusterUnique    ClusterAttrs = 4 // the registry makes the name new by appending to it

	KnownClusterAttrs = ClusterEphemeral | ClusterDeleted | ClusterUnique
)

// Cluster is what is fixed about a cluster when it is created.
type Cluster struct {
	ID            ClusterID
	Name          Name
	Attrs         ClusterAttrs
	MaxSize       int // members, MinClusterSize to MaxClusterSize
	EndpointCount int // endpoints each member must have, 1 to MaxEndpoints
}

// ClusterSpec is what somebody asks a new cluster to be. The numbers are as they
// came; the registry brings them into range.
type ClusterSpec struct {
	Name          string // empty: the registry makes one up
	MaxSize       uint32
	EndpointCount uint32
	Attrs         ClusterAttrs
}

// ClusterRef names a cluster by ID or by name. Where both are given the ID
// counts; the zero value names none.
type ClusterRef struct {
	ID   ClusterID
	Name Name
}

// IsZero reports whether r names no cluster.
func (r ClusterRef) IsZero() bool { return r == ClusterRef{} }

// Seats is a set of member indexes: bit n stands for index n.
type Seats uint64

// AllSeats is the set of every index there can be.
const AllSeats = ^Seats(0)

// Has reports whether index is in s.
func (s Seats) Has(index int) bool { return index >= 0 && index < 64 && s>>index&1 == 1 }

// With returns s and index.
func (s Seats) With(index int) Seats { return s | 1<<index }

// Without returns s less index.
func (s Seats) Without(index int) Seats { return s &^ (1 << index) }

// Len returns how many indexes are in s.
func (s Seats) Len() int { return bits.OnesCount64(uint64(s)) }

// LowestFree returns the lowest index that is not in s; 64 if there is none.
func (s Seats) LowestFree() int { return bits.TrailingZeros64(^uint64(s)) }

// Member is a node with its place in a cluster.
type Member struct {
	Index int // 0 to MaxSize-1; it does not change while the member stays
	Token Token
}

// Roster is who is in a cluster at one moment, in the order of their indexes.
// A Roster is never changed once it is shared.
type Roster struct {
	Cluster Cluster
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
