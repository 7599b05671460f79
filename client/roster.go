package client

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// Member is a node in a cluster.
type Member struct {
	xlreg.Member

	// Verified says that the member has signed its name, keys, endpoints and
	// certificate. It is false for one that registered over a classic carrier,
	// and for everyone in a roster that was read over one.
	Verified bool

	sum    keys.Sum // of the seat; zero over a classic carrier
	proven *proven  // what other nodes of this process know of it, too; may be nil
}

// String returns the member's index, name and addresses, and whether it is verified.
func (m Member) String() string {
	if m.Verified {
		return m.Member.String()
	}
	return m.Member.String() + " (unverified)"
}

// Certificate returns the certificate that the member signed itself, after
// checking that its form makes it an anchor for this member and nobody else. Its
// dates are for whoever uses it to check. A member that is not verified has
// none: ErrUnverified. Others may hold the same certificate; it must not be changed.
func (m *Member) Certificate() (*x509.Certificate, error) {
	cert, err := m.certificate()
	if err != nil {
		return nil, fmt.Errorf("certificate of %q: %w", m.Token.Name, err)
	}
	return cert, nil
}

func (m *Member) certificate() (*x509.Certificate, error) {
	if !m.Verified {
		return nil, ErrUnverified
	}
	if m.proven != nil && sameToken(m.proven.token, &m.Token) {
		return m.proven.certificate()
	}
	return certificateOf(&m.Token)
}

func certificateOf(t *xlreg.Token) (*x509.Certificate, error) {
	der, err := keys.BuildCertificate(t)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Roster is who is in a cluster at one moment, in the order of their indexes.
// Indexes need not be without gaps: members may leave. A Roster is not changed
// once it is returned, and must not be.
type Roster struct {
	Cluster xlreg.Cluster
	State   xlreg.ClusterState // zero over a classic carrier
	Members []Member

	// Sum stands for the roster: whoever has the same one sees the same cluster. It was
	// computed here, and the registry said the same. Zero over a classic carrier.
	Sum [sha256.Size]byte
	// Pinned says that the reader knew the cluster's key beforehand, from a ticket for
	// example, and not from the registry alone. It is false in an open cluster, too.
	Pinned bool
}

// ShortSum returns the part of Sum that people compare, as 32 characters in groups of four;
// "" over a classic carrier.
func (r *Roster) ShortSum() string {
	if r.Sum == (keys.Sum{}) {
		return ""
	}
	return keys.ShortSum(r.Sum)
}

// String returns the cluster's name and its members.
func (r *Roster) String() string { return xlreg.ShowMembers(&r.Cluster, r.Members) }

// ByName returns the member with this name; nil if there is none.
func (r *Roster) ByName(name xlreg.Name) *Member {
	return r.find(func(m *Member) bool { return m.Token.Name == name })
}

// ByID returns the member with this ID; nil if there is none.
func (r *Roster) ByID(id xlreg.NodeID) *Member {
	return r.find(func(m *Member) bool { return m.Token.ID == id })
}

// ByIndex returns the member with this index; nil if there is none.
func (r *Roster) ByIndex(index int) *Member {
	return r.find(func(m *Member) bool { return m.Index == index })
}

// ByKey returns the member with this sig key; nil if there is none. Over a classic carrier
// several members may have the same one, and then it is the first of them.
func (r *Roster) ByKey(key xlreg.SigKey) *Member {
	return r.find(func(m *Member) bool { return m.Token.SigKey == key })
}

func (r *Roster) find(is func(*Member) bool) *Member {
	for i := range r.Members {
		if is(&r.Members[i]) {
			return &r.Members[i]
		}
	}
	return nil
}

// Missing returns how many places of the cluster are free.
func (r *Roster) Missing() int { return max(0, r.Cluster.MaxSize-len(r.Members)) }

// Unverified returns the names of the members that are not verified.
func (r *Roster) Unverified() []xlreg.Name {
	var names []xlreg.Name
	for i := range r.Members {
		if !r.Members[i].Verified {
			names = append(names, r.Members[i].Token.Name)
		}
	}
	return names
}
