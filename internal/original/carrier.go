package original

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"net"
	"time"
)

const (
	readLen  = 16 << 10 // what one read of the originals returns at most, and so a request
	patience = 2 * time.Minute

	ivLen, keyLen, saltLen, versionLen = aes.BlockSize, 32, 8, 4
)

var errCarrier = errors.New("cannot be decrypted")

// carrier sends and receives the messages of a session.
type carrier struct {
	nc      net.Conn
	block   cipher.Block
	in, out []byte // 1.8: the IV of the next message of each direction; nil over 1.9
}

// greet answers a Hello in the server's own generation. One of the other
// generation has another length, and is garbage to this server.
func (s *Server) greet(nc net.Conn) (*carrier, error) {
	c := &carrier{nc: nc}
	sealed, err := c.read()
	if err != nil {
		return nil, err
	}
	hello, err := rsa.DecryptOAEP(sha1.New(), nil, s.comms, sealed, nil)
	if err != nil {
		return nil, err
	}
	reply, key, iv, err := s.greeting(hello)
	if err != nil {
		return nil, err
	}
	if c.block, err = aes.NewCipher(key); err != nil {
		return nil, err
	}
	c.in, c.out = iv, iv
	return c, c.write(reply)
}

// greeting returns the reply to a Hello, the session's key and, over 1.8, the IV
// with which both chains begin.
func (s *Server) greeting(hello []byte) (reply, key, iv []byte, err error) {
	head := 0 // 1.8: the IV for the reply comes first
	if s.generation == V18 {
		head = ivLen
	}
	if len(hello) != head+keyLen+saltLen+versionLen {
		return nil, nil, nil, errCarrier
	}
	once, err := aes.NewCipher(hello[head : head+keyLen])
	if err != nil {
		return nil, nil, nil, err
	}
	salt1 := hello[head+keyLen : head+keyLen+saltLen]
	version := s.generation.version()
	key, salt2 := random(keyLen), random(saltLen)
	if s.generation == V19 {
		reply = encrypt(once, random(ivLen), bytes.Join([][]byte{key, salt2, version[:]}, nil))
		return reply, key, nil, nil
	}
	iv = random(ivLen)
	reply = encrypt(once, hello[:head], bytes.Join([][]byte{iv, key, salt2, salt1, version[:]}, nil))
	return reply[ivLen:], key, iv, nil
}

// receive reads one message, which is what one read returns.
func (c *carrier) receive() ([]byte, error) {
	b, err := c.read()
	if err != nil {
		return nil, err
	}
	if c.in == nil {
		return decrypt(c.block, b)
	}
	text, err := decrypt(c.block, append(bytes.Clone(c.in), b...))
	if err != nil {
		return nil, err
	}
	c.in = b[len(b)-aes.BlockSize:]
	return text, nil
}

// send writes one message of any length at once.
func (c *carrier) send(text []byte) error {
	if c.out == nil {
		return c.write(encrypt(c.block, random(ivLen), text))
	}
	b := encrypt(c.block, c.out, text)
	c.out = b[len(b)-aes.BlockSize:]
	return c.write(b[ivLen:])
}

func (c *carrier) read() ([]byte, error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	b := make([]byte, readLen)
	n, err := c.nc.Read(b)
	return b[:n], err
}

func (c *carrier) write(b []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.nc.Write(b)
	return err
}

// encrypt returns iv and after it text, padded and encrypted.
func encrypt(block cipher.Block, iv, text []byte) []byte {
	pad := aes.BlockSize - len(text)%aes.BlockSize
	b := bytes.Join([][]byte{iv, text, bytes.Repeat([]byte{byte(pad)}, pad)}, nil)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(b[ivLen:], b[ivLen:])
	return b
}

// decrypt undoes encrypt.
func decrypt(block cipher.Block, b []byte) ([]byte, error) {
	if len(b) < ivLen+aes.BlockSize || len(b)%aes.BlockSize != 0 {
		return nil, errCarrier
	}
	text := make([]byte, len(b)-ivLen)
	cipher.NewCBCDecrypter(block, b[:ivLen]).CryptBlocks(text, b[ivLen:])
	pad := int(text[len(text)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, errCarrier
	}
	text, padding := text[:len(text)-pad], text[len(text)-pad:]
	if !bytes.Equal(padding, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errCarrier
	}
	return text, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
