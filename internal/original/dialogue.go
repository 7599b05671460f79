package original

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// state is how far a session has come.
type state int

const (
	greeted state = iota // after the Hello
	known                // after Member
	created              // after Create
	joined               // after Join
	over                 // after Bye or an Error
)

var (
	errState      = errors.New("invalid msg type for current state")
	errName       = errors.New("name already in use")
	errNoName     = errors.New("cannot find cluster with this name")
	errNoCluster  = errors.New("missing cluster name or ID")
	errNoEndpoint = errors.New("cluster members must have at least one endPoint")
	errSpecs      = errors.New("ill-formed cluster member serialization")
)

// step does what a request asks for and returns the reply's fields after Op.
type step func(*dialogue, message) ([]byte, error)

// legal says which request may come in which state, and to which state it leads.
// Anything else is an Error, and after every Error the session is over.
var legal = map[state]map[op]struct {
	do   step
	next state
}{
	greeted: {opMember: {(*dialogue).member, known}, opBye: {(*dialogue).bye, over}},
	known:   {opCreate: {(*dialogue).create, created}, opJoin: {(*dialogue).join, joined}, opBye: {(*dialogue).bye, over}},
	created: {opJoin: {(*dialogue).join, joined}, opBye: {(*dialogue).bye, over}},
	joined:  {opGetCluster: {(*dialogue).get, joined}, opBye: {(*dialogue).bye, over}},
}

// dialogue is the server's side of a session.
type dialogue struct {
	book    *book
	state   state
	self    member   // after Member
	cluster *cluster // of the last Create or Join; nil before
}

// answer returns the reply to a request.
func (d *dialogue) answer(m message) []byte {
	turn, ok := legal[d.state][m.op()]
	if !ok {
		return d.fail(errState)
	}
	fields, err := turn.do(d, m)
	if err != nil {
		return d.fail(err)
	}
	d.state = turn.next
	return append(newMessage(m.op()+1), fields...)
}

func (d *dialogue) fail(err error) []byte {
	d.state = over
	return appendText(newMessage(opError), fieldErrDesc, []byte(err.Error()))
}

// member takes the ID and the attributes that are proposed. A token is checked
// for its signature and nothing else.
func (d *dialogue) member(m message) ([]byte, error) {
	specs, err := parse(m.text(fieldMemberSpecs))
	if err != nil {
		return nil, errSpecs
	}
	if err := verify(specs); err != nil {
		return nil, err
	}
	id := specs.text(tokenID)
	if id == nil {
		id = newID()
	}
	d.self = member{name: string(specs.text(tokenName)), token: newToken(specs, id)}
	return appendNumber(appendText(nil, fieldMemberID, id), fieldMemberAttrs, specs.numbers[tokenAttrs]), nil
}

// verify checks a token's signature: SHA-1 over name, attributes, keys and
// endpoints, one after the other.
func verify(specs message) error {
	key, err := x509.ParsePKIXPublicKey(specs.text(tokenSigKey))
	if err != nil {
		return errSpecs
	}
	sig, ok := key.(*rsa.PublicKey)
	if !ok {
		return errSpecs
	}
	digest := sha1.New()
	digest.Write(specs.text(tokenName))
	digest.Write(binary.LittleEndian.AppendUint64(nil, specs.numbers[tokenAttrs]))
	digest.Write(specs.text(tokenCommsKey))
	digest.Write(specs.text(tokenSigKey))
	for _, end := range specs.texts[tokenMyEnds] {
		digest.Write(end)
	}
	return rsa.VerifyPKCS1v15(sig, crypto.SHA1, digest.Sum(nil), specs.text(tokenDigSig))
}

// newToken returns what others are told of a member: all but the signature.
func newToken(specs message, id []byte) []byte {
	b := appendText(nil, tokenName, specs.text(tokenName))
	b = appendNumber(b, tokenAttrs, specs.numbers[tokenAttrs])
	b = appendText(b, tokenID, id)
	b = appendText(b, tokenCommsKey, specs.text(tokenCommsKey))
	b = appendText(b, tokenSigKey, specs.text(tokenSigKey))
	for _, end := range specs.texts[tokenMyEnds] {
		b = appendText(b, tokenMyEnds, end)
	}
	return b
}

// create answers with the size of the cluster there is, and with the attributes and
// the number of endpoints that were asked for, whatever those of the cluster are.
func (d *dialogue) create(m message) ([]byte, error) {
	count := m.numbers[fieldEndPointCount]
	c, err := d.book.create(string(m.text(fieldClusterName)), m.numbers[fieldClusterMaxSize], count)
	if err != nil {
		return nil, err
	}
	d.cluster = c
	return describe(c, m.numbers[fieldClusterAttrs], count), nil
}

// join looks a cluster up by ID, by name, or takes that of the session.
func (d *dialogue) join(m message) ([]byte, error) {
	c, err := d.named(m)
	if err != nil {
		return nil, err
	}
	d.book.join(c, d.self)
	d.cluster = c
	return describe(c, 0, c.endPoints), nil
}

func (d *dialogue) named(m message) (*cluster, error) {
	id, name := m.text(fieldClusterID), m.text(fieldClusterName)
	switch {
	case id != nil:
		return d.book.find(id)
	case len(name) > 0:
		return d.book.findName(string(name))
	case d.cluster != nil:
		return d.cluster, nil
	}
	return nil, errNoCluster
}

// get looks a cluster up by ID alone, and reads an absent Which as 0. All members
// asked for come in one message, however large that gets.
func (d *dialogue) get(m message) ([]byte, error) {
	c, err := d.book.find(m.text(fieldClusterID))
	if err != nil {
		return nil, err
	}
	which, tokens := d.book.members(c, m.numbers[fieldWhich])
	b := appendNumber(appendText(nil, fieldClusterID, c.id), fieldWhich, which)
	for _, token := range tokens {
		b = appendText(b, fieldTokens, token)
	}
	return b, nil
}

func (d *dialogue) bye(message) ([]byte, error) { return nil, nil }

func describe(c *cluster, attrs, endPoints uint64) []byte {
	b := appendText(nil, fieldClusterID, c.id)
	b = appendNumber(b, fieldClusterMaxSize, c.size)
	b = appendNumber(b, fieldClusterAttrs, attrs)
	return appendNumber(b, fieldEndPointCount, endPoints)
}

// errNoID is in words that are not among the protocol's: the originals wrote this
// text in two ways.
func errNoID(id []byte) error {
	return fmt.Errorf("can't find cluster with ID %s", hex.EncodeToString(id))
}
