package identity

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/keys"
)

// minCertificateLife keeps a new certificate from being due for renewal at once,
// as it is backdated by an hour and renewed in its last third.
const minCertificateLife = 2 * time.Hour

// ErrReadOnly says that a change was asked of a node that was loaded for reading,
// or is closed.
var ErrReadOnly = errors.New("node is open for reading only")

// Options are what a new node is made of.
type Options struct {
	Name      xlreg.Name
	Attrs     xlreg.NodeAttrs
	Endpoints []xlreg.Endpoint
	Keys      *keys.Set // nil: new ones
	Kind      keys.Kind // of new keys; empty is keys.RSA, and a registry's have no other
	Bits      int       // size of new keys; 0 is the default of their kind

	CertificateLife time.Duration // at least two hours; 0 is keys.DefaultCertificateLife

	// Registry says that the node is a registry's own, and so nobody else's.
	Registry bool
}

// KnownRegistry is what a node knows of one registry: how to tell and find it, and
// which ID it gave the node.
type KnownRegistry struct {
	Sig       string     // fingerprint of the registry's sig key
	Name      xlreg.Name // of the registry; may be empty
	Endpoints []xlreg.Endpoint
	ID        xlreg.NodeID

	// Next is the fingerprint of the sig key that follows Sig, for which Sig has vouched
	// until NextUntil. From then on the registry is known by Next alone. Empty: Sig is
	// still the registry's key, as far as is known.
	Next      string
	NextUntil time.Time
}

// Node is one party to registries: a name, keys, endpoints, a certificate, and an
// ID from each registry it has been to. It lives in memory only, or in a
// directory. It is safe for concurrent use.
type Node struct {
	dir       string // empty: in memory
	keys      *keys.Set
	recovered bool // the record was lost, and made of other files

	mu          sync.Mutex
	lock        *filelock.File // nil: nothing may be saved; guarded by mu, as is all below
	record      record
	life        time.Duration
	certificate *certificate // nil: none, or none that is of use
	labels      []byte       // for tokens over 2.0; nil: none
	commsSig    []byte       // CommsSig over both keys, which stay the same; nil: not signed yet
	classicSig  []byte       // DigSig over record; nil: not signed since it changed
	modernSig   []byte       // DigSig2 over record, labels and certificate; likewise
}

// NewNode makes a node that lives in memory only.
func NewNode(o Options) (*Node, error) {
	n, err := newNode(o)
	if err != nil {
		return nil, fmt.Errorf("new node: %w", err)
	}
	if n.keys, err = o.keys(); err != nil {
		return nil, fmt.Errorf("new node: %w", err)
	}
	return n, nil
}

// newNode makes a node less its keys.
func newNode(o Options) (*Node, error) {
	if o.Registry && o.kind() != keys.RSA {
		return nil, errRegistryKind
	}
	r := record{name: o.Name, attrs: o.Attrs, endpoints: slices.Clone(o.Endpoints)}
	if o.Registry {
		r.serving = new(serving)
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	if o.CertificateLife == 0 {
		o.CertificateLife = keys.DefaultCertificateLife
	}
	if o.CertificateLife < minCertificateLife {
		return nil, fmt.Errorf("certificate life of %v: want at least %v", o.CertificateLife, minCertificateLife)
	}
	return &Node{record: r, life: o.CertificateLife}, nil
}

func (o *Options) keys() (*keys.Set, error) {
	if o.Keys != nil {
		return o.Keys, nil
	}
	return keys.Generate(o.kind(), o.bits())
}

func (o *Options) kind() keys.Kind {
	if o.Kind == "" {
		return keys.RSA
	}
	return o.Kind
}

func (o *Options) bits() int {
	if o.Bits == 0 && o.kind() == keys.RSA {
		return keys.DefaultBits
	}
	return o.Bits
}

// Dir returns the directory that the node lives in, or "" if in memory.
func (n *Node) Dir() string { return n.dir }

// Keys returns the node's keys. They stay the same.
func (n *Node) Keys() *keys.Set { return n.keys }

// Name returns the node's name. It stays the same.
func (n *Node) Name() xlreg.Name {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.record.name
}

// Attrs returns the node's attributes. They stay the same.
func (n *Node) Attrs() xlreg.NodeAttrs {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.record.attrs
}

// Endpoints returns a copy of the node's endpoints.
func (n *Node) Endpoints() []xlreg.Endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.record.endpoints)
}

// SetEndpoints replaces the node's endpoints. They are on disk when it returns; if
// it fails nothing has changed. Where hosts change the next certificate is new.
func (n *Node) SetEndpoints(endpoints []xlreg.Endpoint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Equal(endpoints, n.record.endpoints) {
		return nil
	}
	next := n.record
	next.endpoints = slices.Clone(endpoints)
	if err := n.save(next); err != nil {
		return fmt.Errorf("set endpoints: %w", err)
	}
	n.classicSig, n.modernSig = nil, nil
	if n.certificate != nil && !n.certificate.fits(n.token()) {
		n.certificate = nil
	}
	return nil
}

// SetLabels replaces the labels of the node's tokens over 2.0, in the form in which they
// travel; no bytes are none. They are a matter of this program's run, and not kept on disk.
func (n *Node) SetLabels(labels []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.labels, n.modernSig = bytes.Clone(labels), nil
	if len(labels) == 0 {
		n.labels = nil
	}
}

// Registry returns what the node knows of the registry whose sig key has the
// fingerprint sig.
func (n *Node) Registry(sig string) (KnownRegistry, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.record.index(sig)
	if i < 0 {
		return KnownRegistry{}, false
	}
	return n.record.registries[i].clone(), true
}

// Registries returns what the node knows of every registry it has been to.
func (n *Node) Registries() []KnownRegistry {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]KnownRegistry, 0, len(n.record.registries))
	for i := range n.record.registries {
		all = append(all, n.record.registries[i].clone())
	}
	return all
}

// SetRegistry keeps r, in place of what was known of the same registry. It is on
// disk when SetRegistry returns; if that fails nothing has changed.
func (n *Node) SetRegistry(r KnownRegistry) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := r.normalize(); err != nil {
		return fmt.Errorf("set registration: %w", err)
	}
	next, changed := n.record.with(r)
	if !changed {
		return nil
	}
	if err := n.save(next); err != nil {
		return fmt.Errorf("set registration: %w", err)
	}
	return nil
}

// Certificate returns the node's certificate, in DER. It is made when there is
// none yet, when hosts have changed, and when a third of its life or less is left.
func (n *Node) Certificate(now time.Time) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.certify(now)
}

// Token returns the node's token, signed for p, and over 2.0 the certificate that
// follows from it: the one to show in the handshake. The token has the given ID, which
// may be empty. Signatures are kept until something they cover changes.
func (n *Node) Token(p xlreg.Protocol, id xlreg.NodeID, now time.Time) (*xlreg.Token, []byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.token()
	t.ID = id
	if p.Classic() {
		if err := n.signClassic(t); err != nil {
			return nil, nil, err
		}
		return t, nil, nil
	}
	der, err := n.certify(now)
	if err != nil {
		return nil, nil, err
	}
	t.Certificate, t.Labels = n.certificate.field, n.labels
	if err := n.signModern(t); err != nil {
		return nil, nil, err
	}
	return t, der, nil
}

// Close gives up the lock of the node's directory. What can be read from the node
// can still be read, but nothing be changed. It may be called again.
func (n *Node) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lock == nil {
		return nil
	}
	err := n.lock.Close()
	n.lock = nil
	return err
}

// token returns the node's token, unsigned.
func (n *Node) token() *xlreg.Token {
	return &xlreg.Token{
		Name:      n.record.name,
		Attrs:     n.record.attrs,
		CommsKey:  n.keys.CommsKey,
		SigKey:    n.keys.SigKey,
		Endpoints: slices.Clone(n.record.endpoints),
	}
}

func (n *Node) signClassic(t *xlreg.Token) error {
	if n.classicSig == nil {
		sig, err := keys.SignClassic(n.keys.Sig, t)
		if err != nil {
			return err
		}
		n.classicSig = sig
	}
	t.DigSig = n.classicSig
	return nil
}

func (n *Node) signModern(t *xlreg.Token) error {
	var err error
	if n.commsSig == nil {
		if n.commsSig, err = keys.SignComms(n.keys.Comms, t); err != nil {
			return err
		}
	}
	if n.modernSig == nil {
		if n.modernSig, err = keys.SignToken(n.keys.Sig, t); err != nil {
			return err
		}
	}
	t.CommsSig, t.DigSig2 = n.commsSig, n.modernSig
	return nil
}

// certify returns a certificate that serves now, and makes and saves it if need be.
func (n *Node) certify(now time.Time) ([]byte, error) {
	if n.certificate != nil && n.certificate.serves(now) {
		return n.certificate.der, nil
	}
	// Whoever reads the token would refuse keys that 2.0 does not take.
	if err := n.checkModern(); err != nil {
		return nil, err
	}
	t := n.token()
	var err error
	if t.Certificate, err = keys.NewCertificate(n.keys.Sig, t, now, n.life); err != nil {
		return nil, err
	}
	der, err := keys.BuildCertificate(t)
	if err != nil {
		return nil, err
	}
	made, err := parseCertificate(der)
	if err != nil {
		return nil, err
	}
	if n.lock != nil {
		if err := writeCertificate(n.dir, der); err != nil {
			return nil, err
		}
	}
	n.certificate, n.modernSig = made, nil
	return der, nil
}

// checkModern reports keys that 2.0 does not take.
func (n *Node) checkModern() error {
	if err := n.keys.Sig.Public().Check(xlreg.Protocol20); err != nil {
		return fmt.Errorf("sig key of %w", err)
	}
	if err := n.keys.Comms.Public().Check(xlreg.Protocol20); err != nil {
		return fmt.Errorf("comms key of %w", err)
	}
	return nil
}

// save makes next the node's record, first on disk.
func (n *Node) save(next record) error {
	if err := next.validate(); err != nil {
		return err
	}
	if n.dir != "" {
		if n.lock == nil {
			return ErrReadOnly
		}
		if err := writeRecord(n.dir, next); err != nil {
			return err
		}
	}
	n.record = next
	return nil
}
