package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// recordVersion is the version of node.json that is written, and the highest that
// is read.
const recordVersion = 1

// record is the content of node.json. The record that a Node holds is never
// changed in place: a change is made to a copy, which replaces it once saved.
type record struct {
	name       xlreg.Name
	attrs      xlreg.NodeAttrs
	endpoints  []xlreg.Endpoint
	registries []entry
	serving    *serving // nil unless this is the identity of a registry
	extra      members  // fields that newer or other programs added; written back unchanged
}

// entry is one registry in node.json.
type entry struct {
	KnownRegistry
	extra members // as in record
}

// serving is what node.json says about the registry that has this identity.
type serving struct {
	data  string  // the file with its data, in the same directory; empty if there is none yet
	extra members // as in record
}

// members are the members of a JSON object, by name.
type members map[string]json.RawMessage

func (r *record) validate() error {
	if err := r.name.Validate(); err != nil {
		return err
	}
	if unknown := r.attrs &^ xlreg.KnownNodeAttrs; unknown != 0 {
		return fmt.Errorf("attrs: unknown bits %#x", uint64(unknown))
	}
	return xlreg.ValidateEndpoints(r.endpoints)
}

// index returns the place of the registry with the fingerprint sig, or -1.
func (r *record) index(sig string) int {
	sum, err := keys.ParseFingerprint(sig)
	if err != nil {
		return -1
	}
	sig = keys.FormatFingerprint(sum)
	return slices.IndexFunc(r.registries, func(e entry) bool { return e.Sig == sig })
}

// with returns a copy of r in which what is known of one registry is replaced or
// added, and whether that changes anything.
func (r *record) with(reg KnownRegistry) (record, bool) {
	next := *r
	next.registries = slices.Clone(r.registries)
	i := r.index(reg.Sig)
	if i < 0 {
		next.registries = append(next.registries, entry{KnownRegistry: reg.clone()})
		return next, true
	}
	if next.registries[i].equal(reg) {
		return next, false
	}
	next.registries[i].KnownRegistry = reg.clone()
	return next, true
}

// normalize checks r and gives its fingerprint the one form in which it is kept.
func (r *KnownRegistry) normalize() error {
	sum, err := keys.ParseFingerprint(r.Sig)
	if err != nil {
		return err
	}
	r.Sig = keys.FormatFingerprint(sum)
	if _, err := xlreg.NodeIDFromBytes([]byte(r.ID)); err != nil {
		return err
	}
	if r.Name != "" {
		if err := r.Name.Validate(); err != nil {
			return err
		}
	}
	if err := r.normalizeNext(); err != nil {
		return err
	}
	return xlreg.ValidateEndpoints(r.Endpoints)
}

func (r *KnownRegistry) normalizeNext() error {
	r.NextUntil = r.NextUntil.UTC().Truncate(time.Second)
	if r.Next == "" {
		r.NextUntil = time.Time{}
		return nil
	}
	sum, err := keys.ParseFingerprint(r.Next)
	if err != nil {
		return fmt.Errorf("next: %w", err)
	}
	r.Next = keys.FormatFingerprint(sum)
	return nil
}

func (r *KnownRegistry) clone() KnownRegistry {
	c := *r
	c.Endpoints = slices.Clone(r.Endpoints)
	return c
}

func (r *KnownRegistry) equal(o KnownRegistry) bool {
	return r.Sig == o.Sig && r.Name == o.Name && r.ID == o.ID && slices.Equal(r.Endpoints, o.Endpoints) &&
		r.Next == o.Next && r.NextUntil.Equal(o.NextUntil)
}

func parseRecord(data []byte) (record, error) {
	var all members
	if err := json.Unmarshal(data, &all); err != nil {
		return record{}, err
	}
	if err := checkRecordVersion(all); err != nil {
		return record{}, err
	}
	var r record
	var entries []members
	var serve members
	err := errors.Join(
		all.take("name", &r.name),
		all.take("attrs", &r.attrs),
		all.take("endpoints", &r.endpoints),
		all.take("registries", &entries),
		all.take("serve", &serve),
	)
	if err != nil {
		return record{}, err
	}
	if r.serving, err = parseServing(serve); err != nil {
		return record{}, fmt.Errorf("serve: %w", err)
	}
	r.extra = all
	for i, m := range entries {
		e, err := parseEntry(m)
		if err != nil {
			return record{}, fmt.Errorf("registries[%d]: %w", i, err)
		}
		if r.index(e.Sig) >= 0 {
			return record{}, fmt.Errorf("registries[%d]: %s is there twice", i, e.Sig)
		}
		r.registries = append(r.registries, e)
	}
	return r, r.validate()
}

func parseServing(m members) (*serving, error) {
	if m == nil {
		return nil, nil
	}
	s := new(serving)
	if err := m.take("data", &s.data); err != nil {
		return nil, err
	}
	s.extra = m
	return s, s.validate()
}

func (s *serving) validate() error {
	if s.data != "" && (filepath.Base(s.data) != s.data || s.data == "." || s.data == "..") {
		return fmt.Errorf("data: %q is not the name of a file in the directory", s.data)
	}
	return nil
}

func (s *serving) marshal() ([]byte, error) {
	return marshalObject([]member{{"data", s.data}}, s.extra)
}

// errRecordNewer says that another version of this program wrote node.json.
var errRecordNewer = errors.New("was written by a newer program")

func checkRecordVersion(all members) error {
	if _, ok := all["version"]; !ok {
		return errors.New(`no "version"`)
	}
	var version int
	if err := all.take("version", &version); err != nil {
		return err
	}
	if version > recordVersion {
		return fmt.Errorf("version %d %w, this one knows %d", version, errRecordNewer, recordVersion)
	}
	if version < recordVersion {
		return fmt.Errorf("version %d: there is no such version", version)
	}
	return nil
}

func parseEntry(m members) (entry, error) {
	var e entry
	var id string
	err := errors.Join(
		m.take("sig", &e.Sig),
		m.take("name", &e.Name),
		m.take("endpoints", &e.Endpoints),
		m.take("id", &id),
		m.take("next", &e.Next),
		m.take("next_until", &e.NextUntil),
	)
	if err != nil {
		return entry{}, err
	}
	if e.ID, err = xlreg.ParseNodeID(id); err != nil {
		return entry{}, err
	}
	e.extra = m
	return e, e.normalize()
}

// take reads the member called key into v, if there is one, and deletes it from m,
// so that in the end only unknown members are left.
func (m members) take(key string, v any) error {
	raw, ok := m[key]
	delete(m, key)
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func (r *record) marshal() ([]byte, error) {
	registries := make([]json.RawMessage, 0, len(r.registries))
	for i := range r.registries {
		raw, err := r.registries[i].marshal()
		if err != nil {
			return nil, err
		}
		registries = append(registries, raw)
	}
	known := []member{
		{"version", recordVersion},
		{"name", r.name},
		{"attrs", r.attrs},
		{"endpoints", orEmpty(r.endpoints)},
		{"registries", registries},
	}
	if r.serving != nil {
		raw, err := r.serving.marshal()
		if err != nil {
			return nil, err
		}
		known = append(known, member{"serve", json.RawMessage(raw)})
	}
	object, err := marshalObject(known, r.extra)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, object, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (e *entry) marshal() ([]byte, error) {
	known := []member{
		{"sig", e.Sig},
		{"name", e.Name},
		{"endpoints", orEmpty(e.Endpoints)},
		{"id", e.ID.String()},
	}
	if e.Next != "" {
		known = append(known, member{"next", e.Next}, member{"next_until", e.NextUntil})
	}
	return marshalObject(known, e.extra)
}

// orEmpty returns an empty list for nil, which JSON would write as null.
func orEmpty(endpoints []xlreg.Endpoint) []xlreg.Endpoint {
	if endpoints == nil {
		return []xlreg.Endpoint{}
	}
	return endpoints
}

type member struct {
	key   string
	value any
}

// marshalObject returns a JSON object: the known members in the order given, then
// the extra ones sorted by name.
func marshalObject(known []member, extra members) ([]byte, error) {
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		known = append(known, member{key, extra[key]})
	}
	var out bytes.Buffer
	separator := byte('{')
	for _, m := range known {
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
		out.WriteByte(separator)
		out.Write(key)
		out.WriteByte(':')
		out.Write(value)
		separator = ','
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
