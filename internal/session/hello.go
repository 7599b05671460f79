package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// The forms that protocol.md section 3 gives a Hello and its reply. Their
// lengths alone tell the generations apart.
const (
	keyLen     = 32
	saltLen    = 8
	versionLen = 4

	helloLen18 = aes.BlockSize + keyLen + saltLen + versionLen
	helloLen19 = keyLen + saltLen + versionLen

	replyLen18 = 80
	replyLen19 = aes.BlockSize + 48
)

// hello is what a client says first, under the registry's comms key.
type hello struct {
	protocol xlreg.Protocol
	iv1      [aes.BlockSize]byte // 1.8 only
	key1     [keyLen]byte
	salt1    [saltLen]byte
	version  xlreg.Version // deployed clients propose 0
}

// helloReply is the registry's answer.
type helloReply struct {
	sessionKeys
	salt2   [saltLen]byte
	version xlreg.Version
}

// sessionKeys are what all messages of a classic session are encrypted under.
type sessionKeys struct {
	protocol xlreg.Protocol
	iv       [aes.BlockSize]byte // iv2; 1.8 only
	key      [keyLen]byte        // key2
}

// decryptHello decrypts the one ciphertext that opens a classic session.
func decryptHello(key keys.Decrypter, ciphertext []byte) (*hello, error) {
	plain, err := key.Decrypt(ciphertext)
	if err != nil {
		return nil, fmt.Errorf("decrypt hello: %w", err)
	}
	return parseHello(plain)
}

// encrypter returns the key that a Hello is encrypted under.
func encrypter(k xlreg.CommsKey) (keys.Encrypter, error) {
	key, err := keys.Parse(k)
	if err != nil {
		return nil, err
	}
	e, ok := key.(keys.Encrypter)
	if !ok {
		return nil, fmt.Errorf("%s key: the classic protocols cannot encrypt to it", key.Kind())
	}
	return e, nil
}

func newHello(p xlreg.Protocol) *hello {
	h := &hello{protocol: p}
	rand.Read(h.iv1[:])
	rand.Read(h.key1[:])
	rand.Read(h.salt1[:])
	return h
}

// parseHello reads a decrypted Hello.
func parseHello(b []byte) (*hello, error) {
	h := new(hello)
	switch len(b) {
	case helloLen18:
		h.protocol = xlreg.Protocol18
		b = b[copy(h.iv1[:], b):]
	case helloLen19:
		h.protocol = xlreg.Protocol19
	default:
		return nil, fmt.Errorf("hello of %d bytes", len(b))
	}
	b = b[copy(h.key1[:], b):]
	b = b[copy(h.salt1[:], b):]
	h.version = xlreg.Version(binary.LittleEndian.Uint32(b))
	return h, nil
}

// marshal returns what parseHello reads.
func (h *hello) marshal() []byte {
	var b []byte
	if h.protocol == xlreg.Protocol18 {
		b = append(b, h.iv1[:]...)
	}
	b = append(b, h.key1[:]...)
	b = append(b, h.salt1[:]...)
	return binary.LittleEndian.AppendUint32(b, uint32(h.version))
}

// encrypt returns the Hello as it travels.
func (h *hello) encrypt(key keys.Encrypter) ([]byte, error) {
	b, err := key.Encrypt(h.marshal())
	if err != nil {
		return nil, fmt.Errorf("encrypt hello: %w", err)
	}
	return b, nil
}

func newReply(p xlreg.Protocol) *helloReply {
	r := &helloReply{version: p.Version()}
	r.protocol = p
	rand.Read(r.iv[:])
	rand.Read(r.key[:])
	rand.Read(r.salt2[:])
	return r
}

// seal returns r as it travels in answer to h. Over 1.9 it is encrypted under
// iv; over 1.8 under the IV of the Hello.
func (r *helloReply) seal(h *hello, iv [aes.BlockSize]byte) ([]byte, error) {
	block, err := aes.NewCipher(h.key1[:])
	if err != nil {
		return nil, fmt.Errorf("hello key: %w", err)
	}
	if h.protocol == xlreg.Protocol18 {
		return seal(block, r.append(h.iv1[:], h))[aes.BlockSize:], nil
	}
	return seal(block, r.append(iv[:], h)), nil
}

// append appends the plaintext of r to a copy of b.
func (r *helloReply) append(b []byte, h *hello) []byte {
	text := append(make([]byte, 0, aes.BlockSize+replyLen18), b...)
	if h.protocol == xlreg.Protocol18 {
		text = append(text, r.iv[:]...)
	}
	text = append(text, r.key[:]...)
	text = append(text, r.salt2[:]...)
	if h.protocol == xlreg.Protocol18 {
		text = append(text, h.salt1[:]...)
	}
	return binary.LittleEndian.AppendUint32(text, uint32(r.version))
}

// replyLen is how many bytes answer h.
func (h *hello) replyLen() int {
	if h.protocol == xlreg.Protocol18 {
		return replyLen18
	}
	return replyLen19
}

// errReply does not say what was wrong, which would help nobody but an attacker.
var errReply = errors.New("hello reply does not answer this hello")

// open reads the reply to h, which is replyLen bytes.
func (h *hello) open(b []byte) (*helloReply, error) {
	block, err := aes.NewCipher(h.key1[:])
	if err != nil {
		return nil, fmt.Errorf("hello key: %w", err)
	}
	iv := h.iv1[:]
	if h.protocol == xlreg.Protocol19 {
		iv, b = b[:aes.BlockSize], b[aes.BlockSize:]
	}
	text := make([]byte, len(b))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, b)
	text, ok := unpad(text)
	if !ok {
		return nil, errReply
	}
	return h.parseReply(text)
}

// parseReply reads the plaintext of a reply. Only a 1.8 reply repeats the
// salt of the Hello.
func (h *hello) parseReply(text []byte) (*helloReply, error) {
	r := new(helloReply)
	r.protocol = h.protocol
	want := keyLen + saltLen + versionLen
	if h.protocol == xlreg.Protocol18 {
		want += aes.BlockSize + saltLen
	}
	if len(text) != want {
		return nil, errReply
	}
	if h.protocol == xlreg.Protocol18 {
		text = text[copy(r.iv[:], text):]
	}
	text = text[copy(r.key[:], text):]
	text = text[copy(r.salt2[:], text):]
	if h.protocol == xlreg.Protocol18 {
		if !bytes.Equal(text[:saltLen], h.salt1[:]) {
			return nil, errReply
		}
		text = text[saltLen:]
	}
	r.version = xlreg.Version(binary.LittleEndian.Uint32(text))
	return r, nil
}
