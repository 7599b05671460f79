package launch

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

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

	PortNames []string // of each member's endpoints, in their order; there may be fewer, or none
	NoTLS     bool     // the members do not use TLS, whatever certificates they have

	roster     *client.Roster         // nil in a sample
	text       func() ([]byte, error) // the roster in JSON; nil if roster is
	unverified []xlreg.Name
	secret     func() string // nil: there is none. A function, so that no way of printing Data shows it
	sample     bool
	formats    []Format
	labels     bool // of a sample: the labels of its members are known
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

	cluster *Data // whose ports have names; nil: they have none
}

// Endpoint is an address. In a template it is host:port, and has a Host, without
// brackets, and a Port.
type Endpoint = xlreg.Endpoint

// TLS are the paths of the files for mutual TLS with the other members.
type TLS struct {
	Cert    string // the member's certificate
	Key     string // its private key
	Peers   string // whom to trust: the certificates of all members, or that of their authority
	KeyCert string // certificate and private key in one file

	// The same for Java, as PKCS#12. They are written only if FileOptions.KeyStores asks
	// for them.
	KeyStore   string // the member's certificate and private key
	TrustStore string // whom to trust
	Password   string // of both. It is not what protects them; their file mode is
}

// RoleLabel is the key of the label that says which role a member has.
const RoleLabel = "role"

// ErrNoTLS says that the members do not use TLS because they were told not to.
var ErrNoTLS = errors.New("no TLS among the members, as with --tls none: leave that out, or ask {{if not .NoTLS}} first")

// ErrNoSelf says that only a member can be told something, and that the cluster is
// seen by a reader.
var ErrNoSelf = errors.New("only a member can tell: say which with 'join'")

// errNoRoster says that a cluster has no roster, and so neither keys nor certificates.
var errNoRoster = errors.New("the cluster is a sample, which has no roster")

// NewData returns roster as the member with the ID self sees it, whose directory is
// dir. An empty self is a reader.
func NewData(roster *client.Roster, self xlreg.NodeID, dir string) (*Data, error) {
	d := &Data{
		Cluster: ClusterData{Name: string(roster.Cluster.Name), ID: roster.Cluster.ID.String(), Size: roster.Cluster.MaxSize},
		Dir:     dir, Sum: roster.ShortSum(), unverified: roster.Unverified(),
	}
	d.setRoster(roster)
	for i := range roster.Members {
		m, err := newMemberData(&roster.Members[i])
		if err != nil {
			return nil, err
		}
		m.cluster = d
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

func (d *Data) setRoster(r *client.Roster) {
	d.roster, d.text = r, sync.OnceValues(func() ([]byte, error) { return EncodeRoster(r) })
}

// For returns the same cluster as another of its members sees it, whose directory is dir. The
// two share what takes long to make. Nobody else sees a Sample.
func (d *Data) For(self xlreg.NodeID, dir string) (*Data, error) {
	if d.roster == nil {
		return nil, errNoRoster
	}
	other, err := NewData(d.roster, self, dir)
	if err == nil {
		other.text = d.text
	}
	return other, err
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
	if d.NoTLS {
		return TLS{}, ErrNoTLS
	}
	if len(d.unverified) > 0 {
		return TLS{}, fmt.Errorf("no TLS among the members: %w: %v", client.ErrUnverified, d.unverified)
	}
	return tlsFiles(d.Dir), nil
}

// hasTLS reports whether TLS returns files.
func (d *Data) hasTLS() bool { return d.Self != nil && !d.NoTLS && len(d.unverified) == 0 }

// Roster returns the path of the JSON file with the roster.
func (d *Data) Roster() (string, error) {
	if d.Self == nil {
		return "", fmt.Errorf("roster file: %w", ErrNoSelf)
	}
	return filepath.Join(d.Dir, rosterFile), nil
}

// ListenOn returns the address on which Self listens for the endpoint with this name or
// index. If the endpoint's host is a name, it is every address, because many programs
// take no name to listen on.
func (d *Data) ListenOn(port any) (Endpoint, error) {
	if d.Self == nil {
		return "", fmt.Errorf("address to listen on: %w", ErrNoSelf)
	}
	n, err := d.portIndex(port)
	if err != nil {
		return "", err
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
	return Endpoint(net.JoinHostPort(EveryAddress().String(), strconv.Itoa(e.Port()))), nil
}

// Others returns all members except Self.
func (d *Data) Others() []*MemberData {
	return slices.DeleteFunc(slices.Clone(d.Members), func(m *MemberData) bool { return m == d.Self })
}

// Member returns the member with this index. A cluster that is not complete may not have
// it yet.
func (d *Data) Member(index int) (*MemberData, error) {
	i := slices.IndexFunc(d.Members, func(m *MemberData) bool { return m.Index == index })
	if i < 0 {
		return nil, fmt.Errorf("the cluster has no member %d yet", index)
	}
	return d.Members[i], nil
}

// Label returns the value of the member's label with this key, and nothing if it has none.
func (m *MemberData) Label(key string) string { return m.Labels[key] }

// Role returns the member's role, and nothing if it has none.
func (m *MemberData) Role() string { return m.Label(RoleLabel) }

// Endpoint returns the endpoint with this name, or this index: by convention 0 is for the
// other members and 1 for clients of the cluster.
func (m *MemberData) Endpoint(port any) (Endpoint, error) {
	n, err := m.cluster.portIndex(port)
	if err != nil {
		return "", err
	}
	if n < 0 || n >= len(m.Endpoints) {
		return "", fmt.Errorf("member %s has %d endpoints, and none of index %d: reserve more with --ports, or give more with --endpoint", m.Name, len(m.Endpoints), n)
	}
	return m.Endpoints[n], nil
}

// Port returns the port of the endpoint with this name or index.
func (m *MemberData) Port(port any) (int, error) {
	e, err := m.Endpoint(port)
	if err != nil {
		return 0, err
	}
	return e.Port(), nil
}
