package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// SavedRoster is a roster that a member kept for a start without its registry, and that
// has been verified as one that comes from the registry is.
type SavedRoster struct {
	*Roster
	Self  *Member   // the node that saved it, and reads it
	Heard time.Time // when the registry last said that this is the roster, by this machine's clock
}

// LoadOptions say what a saved roster has to be.
type LoadOptions struct {
	// Cluster is the cluster that it has to be of; zero is that of the ticket, or any.
	Cluster xlreg.ClusterRef
	// Endpoints are those that the node has to have in it; nil are those that the node has.
	// One without a host, such as ":4001", may be on any.
	Endpoints []xlreg.Endpoint
	// MaxAge is how long ago the registry may have been heard; 0 is DefaultMaxAge.
	MaxAge time.Duration
	Now    func() time.Time // nil: time.Now
}

// DefaultMaxAge is how long a saved roster is good for: for as long as a registry, unless
// its operator says otherwise, remembers a node that it does not hear of.
const DefaultMaxAge = 30 * 24 * time.Hour

// ErrBadSaved says that a saved roster is not what it has to be. The error says in what.
var ErrBadSaved = errors.New("saved roster does not hold")

const (
	maxSaved    = 32 << 20  // bytes: as of a signed roster
	maxPart     = 4 << 20   // bytes of one of its messages, as over 2.0
	savedAhead  = time.Hour // how far a clock may have been ahead
	maxSavedSig = 1 << 10   // bytes; the longest key's has 512
)

// SaveRoster returns the roster as last heard in a form to be kept in a file, from which
// LoadRoster reads it again when the registry is away. It holds no secret. The node has
// signed it, so that nothing in it can be changed by others. 2.0 only.
func (m *Membership) SaveRoster() ([]byte, error) {
	m.mu.Lock()
	roster, heard := m.roster, m.heard
	m.mu.Unlock()
	if m.o.protocol().Classic() {
		return nil, fmt.Errorf("save roster: %w", ErrNeeds20)
	}
	saved, err := encodeSaved(roster, m.o.Node, registryOf(m.target).Fingerprint, heard)
	if err != nil {
		return nil, fmt.Errorf("save roster: %w", err)
	}
	return saved, nil
}

// Heard returns when the registry last said who is in the cluster.
func (m *Membership) Heard() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard
}

// hear notes that the registry has just said that nothing has changed.
func (m *Membership) hear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = m.o.Now()
}

// encodeSaved follows section 11.4.
func encodeSaved(r *Roster, node *identity.Node, registry string, heard time.Time) ([]byte, error) {
	self := r.ByKey(node.Keys().SigKey)
	if self == nil {
		return nil, xlreg.ErrNotMember
	}
	parts, err := savedParts(r)
	if err != nil {
		return nil, err
	}
	b := appendLong([]byte(keys.SavedContext), []byte(registry))
	b = appendLong(b, []byte(self.Token.ID))
	b = binary.BigEndian.AppendUint64(b, uint64(max(0, heard.UnixMilli())))
	b = binary.BigEndian.AppendUint32(b, uint32(len(parts)))
	for _, part := range parts {
		b = appendLong(b, part)
	}
	sig, err := keys.SignSaved(node.Keys().Sig, b)
	if err != nil {
		return nil, err
	}
	return appendLong(b, sig), nil
}

// savedParts returns the roster as the registry would tell it.
func savedParts(r *Roster) ([][]byte, error) {
	plain := &xlreg.Roster{Cluster: r.Cluster, State: r.State, Members: make([]xlreg.Member, len(r.Members))}
	for i := range r.Members {
		plain.Members[i] = r.Members[i].Member
	}
	encoded, err := wire.EncodeRoster(plain, xlreg.Protocol20)
	if err != nil {
		return nil, err
	}
	var parts [][]byte
	for missing := encoded.Taken(); !missing.IsEmpty(); {
		part, given, err := savedPart(encoded, missing)
		if err != nil {
			return nil, err
		}
		parts, missing = append(parts, part), missing.Minus(given)
	}
	return parts, nil
}

// savedPart returns a message with as many of some members as go into it, and which those are.
func savedPart(e *wire.EncodedRoster, some xlreg.Seats) (part []byte, given xlreg.Seats, err error) {
	if part, err = e.Message(some, maxPart).Append(nil); err != nil {
		return nil, given, err
	}
	m, err := wire.Unmarshal(part)
	if err != nil {
		return nil, given, err
	}
	r, err := m.Roster(xlreg.Protocol20)
	if err != nil {
		return nil, given, err
	}
	if r.Given.IsEmpty() {
		return nil, given, errors.New("a member that does not fit into a message")
	}
	return part, r.Given, nil
}

// appendLong appends what section 11.4 has behind its length.
func appendLong(b, field []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}

// LoadRoster reads what SaveRoster returned. It asks nobody, and verifies what joining
// does: the proofs of every member, their sum, the leave of the cluster's owner if it has
// one, and that the node is among them with its key and its endpoints; and besides that
// this node has saved it, at the registry and of the cluster that are meant, and not too
// long ago. What does not hold is ErrBadSaved.
func LoadRoster(target Target, node *identity.Node, saved []byte, o LoadOptions) (*SavedRoster, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	o.Cluster = clusterNamed(o.Cluster, ticketOf(target))
	s, err := loadSaved(target, node, saved, &o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSaved, err)
	}
	return s, nil
}

func loadSaved(target Target, node *identity.Node, saved []byte, o *LoadOptions) (*SavedRoster, error) {
	e, err := openSaved(saved, node.Keys().SigKey)
	if err != nil {
		return nil, err
	}
	if registry := registryOf(target); registry == nil || !sameRegistry(node, e.registry, registry.Fingerprint) {
		return nil, fmt.Errorf("it is from another registry, %q", e.registry)
	}
	if err := e.checkAge(o); err != nil {
		return nil, err
	}
	s := &SavedRoster{Heard: e.heard}
	if s.Roster, err = e.roster(o.Cluster.Key); err != nil {
		return nil, err
	}
	if c := &s.Cluster; o.Cluster.ID != "" && c.ID != o.Cluster.ID || o.Cluster.ID == "" && o.Cluster.Name != "" && c.Name != o.Cluster.Name {
		return nil, fmt.Errorf("it is that of another cluster, %q", c.Name)
	}
	return s, s.findSelf(node, e.id, o)
}

// sameRegistry reports whether a registry is the one that is meant, under its key or the
// next, which the node has kept.
func sameRegistry(node *identity.Node, saved, meant string) bool {
	next := func(from, to string) bool {
		known, ok := node.Registry(from)
		return ok && known.Next == to
	}
	return saved == meant || next(saved, meant) || next(meant, saved)
}

// findSelf looks for the node in its roster.
func (s *SavedRoster) findSelf(node *identity.Node, id xlreg.NodeID, o *LoadOptions) error {
	s.Self = s.ByKey(node.Keys().SigKey)
	if s.Self == nil || s.Self.Token.ID != id {
		return errors.New("this node is not in it with its key and ID")
	}
	if s.Self.Token.Name != node.Name() {
		return fmt.Errorf("this node is called %q in it", s.Self.Token.Name)
	}
	meant := o.Endpoints
	if meant == nil {
		meant = node.Endpoints()
	}
	if !slices.EqualFunc(meant, s.Self.Token.Endpoints, isAt) {
		return fmt.Errorf("this node is at %s in it, and not at %s: it can move only while the registry is there", listed(s.Self.Token.Endpoints), listed(meant))
	}
	return nil
}

func listed(endpoints []xlreg.Endpoint) string {
	texts := make([]string, len(endpoints))
	for i, e := range endpoints {
		texts[i] = string(e)
	}
	return strings.Join(texts, ", ")
}

// isAt reports whether an endpoint is the one that is meant.
func isAt(meant, e xlreg.Endpoint) bool {
	port, anywhere := strings.CutPrefix(string(meant), ":")
	return meant == e || anywhere && port == strconv.Itoa(e.Port())
}

// envelope is a saved roster whose signature holds.
type envelope struct {
	registry string
	id       xlreg.NodeID
	heard    time.Time
	parts    []*wire.Message
}

var (
	errCutShort   = errors.New("it is cut short, or damaged")
	errNotSaved   = errors.New("it is no saved roster, or one of a newer program")
	errOtherSaver = errors.New("it was saved by another node, or has been changed since")
)

// openSaved takes a saved roster apart.
func openSaved(saved []byte, key xlreg.SigKey) (*envelope, error) {
	if len(saved) > maxSaved {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are allowed", len(saved), maxSaved)
	}
	if !bytes.HasPrefix(saved, []byte(keys.SavedContext)) {
		return nil, errNotSaved
	}
	r := fieldReader{rest: saved[len(keys.SavedContext):]}
	registry, id := r.long(maxSavedSig), r.long(xlreg.LongIDLen)
	heard, count := r.number(8), r.number(4)
	var fields [][]byte
	for range min(count, uint64(xlreg.MaxClusterSize)) {
		fields = append(fields, r.long(maxPart))
	}
	signed := saved[:len(saved)-len(r.rest)]
	sig := r.long(maxSavedSig)
	if r.short || len(r.rest) > 0 || count == 0 || count > xlreg.MaxClusterSize || heard > maxSignedMillis {
		return nil, errCutShort
	}
	if keys.VerifySaved(key, signed, sig) != nil {
		return nil, errOtherSaver
	}
	e := &envelope{registry: string(registry), id: xlreg.NodeID(id), heard: time.UnixMilli(int64(heard)).UTC()}
	for _, field := range fields {
		part, err := wire.Unmarshal(field)
		if err != nil {
			return nil, err
		}
		e.parts = append(e.parts, part)
	}
	return e, nil
}

func (e *envelope) checkAge(o *LoadOptions) error {
	age := o.Now().Sub(e.heard)
	switch {
	case age > o.MaxAge:
		return fmt.Errorf("it is too old: the registry was last heard at %s, and %.4g days are the most", utc(e.heard), o.MaxAge.Hours()/24)
	case age < -savedAhead:
		return fmt.Errorf("it is from the future, %s: see that this machine's clock is right", utc(e.heard))
	}
	return nil
}

// roster verifies the parts as those of a signed roster are, less the registry's
// signature: this node's own stands for that.
func (e *envelope) roster(key xlreg.ClusterKey) (*Roster, error) {
	var a assembly
	for i, part := range e.parts {
		r, err := part.Roster(xlreg.Protocol20)
		if err == nil && r.Since != nil {
			err = errors.New("it is not the whole roster")
		}
		if err == nil && i > 0 {
			err = fits(&a, r)
		}
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", i+1, err)
		}
		a.add(r)
	}
	return a.verified(key)
}

// fieldReader takes fields from the front of some bytes. Once they do not suffice all that
// follows is empty.
type fieldReader struct {
	rest  []byte
	short bool
}

func (r *fieldReader) take(n uint64) []byte {
	if r.short || n > uint64(len(r.rest)) {
		r.short = true
		return nil
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

// number returns one of so many bytes, at most 8.
func (r *fieldReader) number(size uint64) (n uint64) {
	for _, b := range r.take(size) {
		n = n<<8 | uint64(b)
	}
	return n
}

// long returns what stands behind its length, which may be at most most.
func (r *fieldReader) long(most uint64) []byte {
	n := r.number(4)
	r.short = r.short || n > most
	return r.take(n)
}
