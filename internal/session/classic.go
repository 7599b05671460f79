package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// stepLen is how many bytes are decrypted at a time while the end of a message is looked
// for. What has been decrypted beyond the end is discarded, because the next message is
// decrypted from its own start, and over 1.9 with its own IV.
const stepLen = 32 * aes.BlockSize

// MaxClassicText returns how long a message may be, encoded, to fit into one
// classic message of p, which is not 2.0.
func MaxClassicText(p xlreg.Protocol) int {
	if p == xlreg.Protocol18 {
		return xlreg.MaxClassicMessage - 1
	}
	return xlreg.MaxClassicMessage - aes.BlockSize - 1
}

// classic is the codec of both classic carriers.
type classic struct {
	sealer
	opener
}

// encode returns no rest. A rest can be shared by several sessions, but here each session
// encrypts with its own keys.
func (c *classic) encode(m *wire.Message) (head, rest []byte, err error) {
	head, err = c.seal(m)
	return head, nil, err
}

func (c *classic) limit() int { return xlreg.MaxClassicMessage }

func (c *classic) decode(b []byte) (*wire.Message, int, error) {
	m, used := c.open(b)
	return m, used, nil
}

// newClassic returns the codec for the keys of a session. Over 1.8 both
// directions begin with the chain iv; over 1.9 there is none.
func newClassic(k sessionKeys) (*classic, error) {
	block, err := aes.NewCipher(k.key[:])
	if err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	c := &classic{sealer{block: block}, opener{block: block}}
	if k.protocol == xlreg.Protocol18 {
		c.sealer.chain, c.opener.chain = bytes.Clone(k.iv[:]), bytes.Clone(k.iv[:])
	}
	return c, nil
}

// sealer is the writing direction of a classic session.
type sealer struct {
	block cipher.Block
	chain []byte // 1.8: the IV of the next message; nil over 1.9
}

func (s *sealer) protocol() xlreg.Protocol {
	if s.chain != nil {
		return xlreg.Protocol18
	}
	return xlreg.Protocol19
}

// seal returns what travels of m, in one piece.
func (s *sealer) seal(m *wire.Message) ([]byte, error) {
	size, most := m.Size(), MaxClassicText(s.protocol())
	if size > most {
		return nil, fmt.Errorf("message of %d bytes: at most %d over %v", size, most, s.protocol())
	}
	b := make([]byte, aes.BlockSize, 2*aes.BlockSize+size)
	b, err := m.Append(b)
	if err != nil {
		return nil, err
	}
	if s.chain == nil {
		rand.Read(b[:aes.BlockSize])
		return seal(s.block, b), nil
	}
	copy(b, s.chain)
	b = seal(s.block, b)
	s.chain = append(s.chain[:0], b[len(b)-aes.BlockSize:]...)
	return b[aes.BlockSize:], nil
}

// opener is the reading direction of a classic session.
type opener struct {
	block cipher.Block
	chain []byte // 1.8: the IV of the message under way; nil over 1.9

	// The message under way.
	mode    cipher.BlockMode // nil before its first whole block
	head    int              // bytes of IV on the wire
	text    []byte           // decrypted so far, padding included
	checked int              // of text: the message does not end before
	scan    wire.Scan
	lost    bool // it never will be a message
}

// open decrypts what came of a message and looks at each block boundary, from
// the message's start, whether this is its end. A message has no length, so the
// first boundary at which it can end is the one at which it does. What never
// will be a message is dropped without a word, for as long as the peer goes on and
// the time lasts: whatever was wrong, it looks the same.
func (o *opener) open(b []byte) (m *wire.Message, used int) {
	for !o.lost && o.decrypt(b) {
		if m := o.find(); m != nil {
			used := o.head + o.checked
			o.reset(b[:used])
			return m, used
		}
	}
	if o.lost {
		return nil, len(b)
	}
	return nil, 0
}

// decrypt adds the next whole blocks of b to the text, and reports whether
// there were any.
func (o *opener) decrypt(b []byte) bool {
	if o.mode == nil && !o.start(b) {
		return false
	}
	done := o.head + len(o.text)
	if done == xlreg.MaxClassicMessage {
		o.lost = true
		return false
	}
	b = b[done:min(len(b), done+stepLen, xlreg.MaxClassicMessage)]
	whole := len(b) / aes.BlockSize * aes.BlockSize
	at := len(o.text)
	o.text = append(o.text, b[:whole]...)
	o.mode.CryptBlocks(o.text[at:], o.text[at:])
	return whole > 0
}

// start begins a message with its IV, and reports whether that is there.
func (o *opener) start(b []byte) bool {
	iv := o.chain
	if iv == nil {
		if len(b) < aes.BlockSize {
			return false
		}
		iv, o.head = b[:aes.BlockSize], aes.BlockSize
	}
	o.mode = cipher.NewCBCDecrypter(o.block, iv)
	o.text = make([]byte, 0, len(b))
	return true
}

// find returns the message if it ends at one of the boundaries not looked at.
func (o *opener) find() *wire.Message {
	for o.checked < len(o.text) {
		o.checked += aes.BlockSize
		text, ok := unpad(o.text[:o.checked])
		if !ok || !o.scan.Whole(text) {
			continue
		}
		m, err := wire.Unmarshal(text)
		o.lost = err != nil
		return m
	}
	return nil
}

// reset makes ready for the message after the one whose bytes were b.
func (o *opener) reset(b []byte) {
	chain := o.chain
	if chain != nil {
		chain = append(chain[:0], b[len(b)-aes.BlockSize:]...)
	}
	*o = opener{block: o.block, chain: chain}
}

// seal pads what follows the IV at the head of b, and encrypts it in place.
func seal(block cipher.Block, b []byte) []byte {
	pad := aes.BlockSize - len(b)%aes.BlockSize
	b = append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, b[:aes.BlockSize]).CryptBlocks(b[aes.BlockSize:], b[aes.BlockSize:])
	return b
}

// unpad returns text, which is whole blocks, without its padding.
func unpad(text []byte) ([]byte, bool) {
	pad := int(text[len(text)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, false
	}
	for _, b := range text[len(text)-pad:] {
		if int(b) != pad {
			return nil, false
		}
	}
	return text[:len(text)-pad], true
}
