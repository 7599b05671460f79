package launch

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/keys"
)

// Data is what templates and formats see: a cluster as one of its members sees it, or
// a reader, which is no member.
type Data struct {
	Cluster  ClusterData
	Members  []*MemberData // in the order of their indexes
	Self     *MemberData   // one of Members; nil to a reader
	Dir      string        // the member's own directory, absolute; empty to a reader
	Registry string        // an xlreg:// line
	Sum      string        // what people compare of the roster; empty over a classic carrier
	Listen   []Endpoint    // where Self listens, as far as that is not its endpoint

	roster     *client.Roster // nil in a sample
	unverified []xlreg.Name
}

// ClusterData is what is fixed about a cluster.
type ClusterData struct {
	Name string
	ID   string // in hex
	Size int    // how many members it is made for
}

// MemberData is one member of a cluster.
type MemberData struct {
	Index          int
	Name           string
	ID             string // in hex
	Endpoints      []Endpoint
	SigFingerprint string // SHA256:…, as ssh-keygen -l prints it
	Verified       bool   // it has signed what stands here
	Labels         map[string]string
}

// Endpoint is an address. In a template it is host:port, and has a Host, without
// brackets, and a Port.
type Endpoint = xlreg.Endpoint

// TLS are the paths of the files for mutual TLS with the other members.
type TLS struct {
	Cert  string // the member's certificate
	Key   string // its private key
	Peers string // the certificates of all members
}

// ErrNoSelf says that only a member can be told something, and that the cluster is
// seen by a reader.
var ErrNoSelf = errors.New("only a member can tell: say which with 'join'")

// NewData returns roster as the member with the ID self sees it, whose directory is
// dir. An empty self is a reader.
func NewData(roster *client.Roster, self xlreg.NodeID, dir string) (*Data, error) {
	d := &Data{
		Cluster: ClusterData{Name: string(roster.Cluster.Name), ID: roster.Cluster.ID.String(), Size: roster.Cluster.MaxSize},
		Dir:     dir, Sum: roster.ShortSum(), roster: roster, unverified: roster.Unverified(),
	}
	for i := range roster.Members {
		m, err := newMemberData(&roster.Members[i])
		if err != nil {
			return nil, err
		}
		d.Members = append(d.Members, m)
		if roster.Members[i].Token.ID == self {
			d.Self = m
		}
	}
	if self != "" && d.Self == nil {
		return nil, fmt.Errorf("%w: %v is not in the roster of %s", xlreg.ErrNotMember, self, d.Cluster.Name)
	}
	return d, nil
}

func newMemberData(m *client.Member) (*MemberData, error) {
	sig, err := keys.Fingerprint(m.Token.SigKey)
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", m.Token.Name, err)
	}
	return &MemberData{
		Index: m.Index, Name: string(m.Token.Name), ID: m.Token.ID.String(),
		Endpoints: slices.Clone(m.Token.Endpoints), SigFingerprint: sig, Verified: m.Verified, Labels: m.Labels(),
	}, nil
}

// TLS returns where the member's files are. Without a certificate of everyone
// there is no mutual TLS, and the error names those who have none.
func (d *Data) TLS() (TLS, error) {
	if d.Self == nil {
		return TLS{}, fmt.Errorf("TLS files: %w", ErrNoSelf)
	}
	if len(d.unverified) > 0 {
		return TLS{}, fmt.Errorf("no TLS among the members: %w: %v", client.ErrUnverified, d.unverified)
	}
	return tlsFiles(d.Dir), nil
}

// hasTLS reports whether TLS returns files.
func (d *Data) hasTLS() bool { return d.Self != nil && len(d.unverified) == 0 }

// Roster returns the path of the JSON file with the roster.
func (d *Data) Roster() (string, error) {
	if d.Self == nil {
		return "", fmt.Errorf("roster file: %w", ErrNoSelf)
	}
	return filepath.Join(d.Dir, rosterFile), nil
}

// ListenOn returns the address on which Self listens for its nth endpoint. A program
// that takes addresses alone listens for a name on every address.
func (d *Data) ListenOn(n int) (Endpoint, error) {
	if d.Self == nil {
		return "", fmt.Errorf("address to listen on: %w", ErrNoSelf)
	}
	e, err := d.Self.Endpoint(n)
	if err != nil {
		return "", err
	}
	if n < len(d.Listen) {
		return d.Listen[n], nil
	}
	if _, ok := e.Addr(); ok {
		return e, nil
	}
	return Endpoint(net.JoinHostPort("0.0.0.0", strconv.Itoa(e.Port()))), nil
}

// Others returns all members except Self.
func (d *Data) Others() []*MemberData {
	return slices.DeleteFunc(slices.Clone(d.Members), func(m *MemberData) bool { return m == d.Self })
}

// Label returns the value of the member's label with this key, and nothing if it has none.
func (m *MemberData) Label(key string) string { return m.Labels[key] }

// Endpoint returns the nth endpoint: 0 is for the other members, 1 by convention
// for clients of the cluster.
func (m *MemberData) Endpoint(n int) (Endpoint, error) {
	if n < 0 || n >= len(m.Endpoints) {
		return "", fmt.Errorf("member %s has %d endpoints, and none of index %d: reserve more with --ports, or give more with --endpoint", m.Name, len(m.Endpoints), n)
	}
	return m.Endpoints[n], nil
}
