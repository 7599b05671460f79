package ticket

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// The parameters of a line, in the order in which they are written.
const (
	paramSig       = "sig"
	paramCluster   = "cluster"
	paramSize      = "size"
	paramEndpoints = "endpoints"
	paramOwner     = "owner" // a seed
	paramKey       = "key"
	paramInvite    = "invite" // a seed
	paramUntil     = "until"  // milliseconds; 0: no end
	paramUses      = "uses"   // 0: any number
	paramBy        = "by"     // the owner's signature of the invite
	paramAdmit     = "admit"  // the owner's signature for one sig key
)

var params = []string{
	paramSig, paramCluster, paramSize, paramEndpoints, paramOwner, paramKey, paramInvite, paramUntil, paramUses, paramBy, paramAdmit,
}

// maxLine is how many bytes are looked at. Sixteen of the longest endpoints need half.
const maxLine = 10 << 10

const sigLen = 64 // bytes of an Ed25519 signature

// ErrNoTicket says that a line is that of a registry, and names no cluster.
var ErrNoTicket = errors.New("this is the line of a registry: a ticket names a cluster, too")

var errForm = errors.New("want xlreg://host:port/?sig=…&cluster=…")

// Read reads a ticket from a file or whatever else has it, as Load does.
func Read(r io.Reader) (*Ticket, error) {
	data, err := io.ReadAll(io.LimitReader(r, 2*maxLine+1)) // UTF-16 takes two bytes for one
	if err != nil {
		return nil, fmt.Errorf("read ticket: %w", err)
	}
	return Load(string(data))
}

// Load reads a ticket that has been through mail, a chat or an editor: blanks, quotes and
// line ends around and inside it are of no account. Otherwise it is Parse.
func Load(text string) (*Ticket, error) {
	if len(text) > 2*maxLine {
		return nil, fmt.Errorf("ticket: %d bytes, at most %d allowed", len(text), maxLine)
	}
	line, ok := regcred.Line(text)
	if !ok {
		return nil, fmt.Errorf("ticket: %w", errForm)
	}
	return Parse(line)
}

// Parse reads the line that Text returns. The line of a registry is ErrNoTicket. No error
// shows anything that could be secret. Signatures in it are not looked at before they are
// used.
func Parse(line string) (*Ticket, error) {
	t, err := parse(line)
	if err != nil {
		return nil, fmt.Errorf("ticket: %w", err)
	}
	return t, nil
}

func parse(line string) (*Ticket, error) {
	if len(line) > maxLine {
		return nil, fmt.Errorf("%d bytes, at most %d allowed", len(line), maxLine)
	}
	hosts, query, ok := strings.Cut(line, "/?")
	if !ok {
		return nil, errForm
	}
	values, err := splitQuery(query)
	if err != nil {
		return nil, err
	}
	registry, err := regcred.ParseURL(hosts + "/?" + paramSig + "=" + values[paramSig])
	if err != nil {
		return nil, err
	}
	if _, ok := values[paramCluster]; !ok {
		return nil, ErrNoTicket
	}
	t := &Ticket{Registry: *registry}
	if t.line, err = registry.URL(); err != nil {
		return nil, err
	}
	return t, t.read(values)
}

// splitQuery returns the parameters by their names, each of which is there once.
func splitQuery(query string) (map[string]string, error) {
	values := make(map[string]string)
	for parameter := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(parameter, "=")
		if !slices.Contains(params, key) {
			return nil, errors.New("a parameter that is unknown") // it could be a part of a secret
		}
		if _, ok := values[key]; ok {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		values[key] = value
	}
	return values, nil
}

// read takes the values over, and wants all of one kind of ticket and no others.
func (t *Ticket) read(values map[string]string) error {
	size, err := number(values, paramSize, xlreg.MaxClusterSize)
	if err != nil {
		return err
	}
	endpoints, err := number(values, paramEndpoints, xlreg.MaxEndpoints)
	if err != nil {
		return err
	}
	t.Cluster, t.Size, t.EndpointCount = xlreg.Name(values[paramCluster]), int(size), int(endpoints)
	if err := t.check(); err != nil {
		return err
	}
	if err := t.readProof(values); err != nil {
		return err
	}
	for _, p := range t.params() {
		delete(values, p)
	}
	if len(values) > 0 {
		return fmt.Errorf("parameters that do not belong to a ticket of kind %v", t.Kind())
	}
	return nil
}

// params are the parameters that a ticket of t's kind has.
func (t *Ticket) params() []string {
	all := params[:4:4]
	switch t.Kind() {
	case KindOwner:
		return append(all, paramOwner)
	case KindInvite:
		return append(all, paramKey, paramInvite, paramUntil, paramUses, paramBy)
	case KindAdmit:
		return append(all, paramKey, paramAdmit)
	}
	return append(all, paramKey)
}

func (t *Ticket) readProof(values map[string]string) error {
	if _, ok := values[paramOwner]; ok {
		return t.readOwner(values)
	}
	key, err := octets(values, paramKey, xlreg.ClusterKeyLen)
	if err != nil {
		return err
	}
	t.Key = xlreg.ClusterKey(key)
	if _, ok := values[paramInvite]; ok {
		return t.readInvite(values)
	}
	if _, ok := values[paramAdmit]; ok {
		t.admit, err = octets(values, paramAdmit, sigLen)
	}
	return err
}

func (t *Ticket) readOwner(values map[string]string) error {
	seed, err := octets(values, paramOwner, keys.SeedLen)
	if err != nil {
		return err
	}
	if t.owner, err = keys.OwnerFromSeed(seed); err != nil {
		return err
	}
	t.Key = t.owner.Public()
	return nil
}

func (t *Ticket) readInvite(values map[string]string) error {
	seed, err := octets(values, paramInvite, keys.SeedLen)
	if err != nil {
		return err
	}
	// The writers of 2.0 write these two always; without them there is no limit.
	var until, uses uint64
	if _, ok := values[paramUntil]; ok {
		if until, err = number(values, paramUntil, math.MaxUint64); err != nil {
			return err
		}
	}
	if _, ok := values[paramUses]; ok {
		if uses, err = number(values, paramUses, xlreg.MaxInviteUses); err != nil {
			return err
		}
	}
	by, err := octets(values, paramBy, sigLen)
	if err != nil {
		return err
	}
	invite := xlreg.Invite{NotAfter: keys.TimeOfMillis(until), Uses: uint32(uses), Sig: by}
	t.inviter, err = keys.NewInviter(t.Cluster, t.Key, seed, invite)
	return err
}

// number reads a number from 0 to most, in decimal and without leading zeros.
func number(values map[string]string, param string, most uint64) (uint64, error) {
	text := values[param]
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != text || n > most {
		return 0, fmt.Errorf("%s: want a number up to %d", param, most)
	}
	return n, nil
}

// octets reads so many bytes in base64url without padding.
func octets(values map[string]string, param string, n int) ([]byte, error) {
	text := values[param]
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != n || len(text) != base64.RawURLEncoding.EncodedLen(n) {
		return nil, fmt.Errorf("%s: want %d bytes in base64url", param, n)
	}
	return b, nil
}

// Text returns the ticket in full, with whatever is secret in it.
func (t *Ticket) Text() string {
	var b strings.Builder
	b.WriteString(t.line)
	put := func(param, value string) { b.WriteString("&" + param + "=" + value) }
	put(paramCluster, string(t.Cluster))
	put(paramSize, strconv.Itoa(t.Size))
	put(paramEndpoints, strconv.Itoa(t.EndpointCount))
	if t.owner != nil {
		put(paramOwner, base64.RawURLEncoding.EncodeToString(t.owner.Seed()))
		return b.String()
	}
	put(paramKey, keys.FormatClusterKey(t.Key))
	switch t.Kind() {
	case KindInvite:
		invite := t.inviter.Invite()
		put(paramInvite, base64.RawURLEncoding.EncodeToString(t.inviter.Seed()))
		put(paramUntil, strconv.FormatUint(keys.MillisOfTime(invite.NotAfter), 10))
		put(paramUses, strconv.FormatUint(uint64(invite.Uses), 10))
		put(paramBy, base64.RawURLEncoding.EncodeToString(invite.Sig))
	case KindAdmit:
		put(paramAdmit, base64.RawURLEncoding.EncodeToString(t.admit))
	}
	return b.String()
}
