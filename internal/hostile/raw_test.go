package hostile

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// patience is how long a registry may take to answer or to hang up.
const patience = 20 * time.Second

// raw carries the bytes of messages, right or wrong, as a client would. It is
// written from docs/protocol.md and shares nothing with package session.
type raw interface {
	send(b []byte) error
	// receive returns a whole message; io.EOF if the registry has hung up.
	receive() ([]byte, error)
	// salt is what a classic log-in signs.
	salt() []byte
	Close() error
}

// connectRaw opens a session, over 2.0 with a certificate if there is one.
func connectRaw(addr string, p xlreg.Protocol, comms *rsa.PublicKey, cert *tls.Certificate) (raw, error) {
	d := net.Dialer{Timeout: patience}
	nc, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	var r raw
	if p == xlreg.Protocol20 {
		r, err = connectModern(nc, cert)
	} else {
		r, err = connectClassic(nc, p, comms)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect over %v: %w", p, err)
	}
	return r, nil
}

// modern is the carrier of 2.0.
type modern struct{ *tls.Conn }

func connectModern(nc net.Conn, cert *tls.Certificate) (raw, error) {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"xlreg/2"},
		InsecureSkipVerify: true, // whoever listens
	}
	if cert != nil {
		cfg.Certificates = []tls.Certificate{*cert}
	}
	c := tls.Client(nc, cfg)
	return &modern{c}, c.HandshakeContext(context.Background())
}

func (m *modern) salt() []byte { return nil }

func (m *modern) send(b []byte) error {
	_, err := m.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

func (m *modern) receive() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(m, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > xlreg.MaxReplyFrame {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(m, b)
	return b, err
}

// classic is either of the classic carriers.
type classic struct {
	net.Conn
	p        xlreg.Protocol
	block    cipher.Block
	iv2      []byte // where both chains of 1.8 begin
	sent     []byte // the last block sent, 1.8
	received []byte // the last block received, 1.8
	salt2    []byte
	in       []byte
}

const block = aes.BlockSize

func connectClassic(nc net.Conn, p xlreg.Protocol, comms *rsa.PublicKey) (raw, error) {
	plain := make([]byte, 44)
	if p == xlreg.Protocol18 {
		plain = make([]byte, 60)
	}
	rand.Read(plain)
	hello, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, comms, plain, nil)
	if err != nil {
		return nil, err
	}
	if _, err := nc.Write(hello); err != nil {
		return nil, err
	}
	c := &classic{Conn: nc, p: p}
	reply := make([]byte, c.replyLen())
	if _, err := io.ReadFull(nc, reply); err != nil {
		return nil, err
	}
	return c, c.open(plain, reply)
}

// replyLen is how long a HelloReply is.
func (c *classic) replyLen() int {
	if c.p == xlreg.Protocol18 {
		return 80
	}
	return 64
}

// open reads the HelloReply, protocol.md section 3.3.
func (c *classic) open(plain, reply []byte) error {
	iv, key := reply[:block], plain[:32]
	if c.p == xlreg.Protocol18 {
		iv, key = plain[:block], plain[block:block+32]
	} else {
		reply = reply[block:]
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	text := make([]byte, len(reply))
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(text, reply)
	if c.p == xlreg.Protocol18 {
		c.iv2, text = text[:block], text[block:]
		c.sent, c.received = c.iv2, c.iv2
	}
	c.salt2 = text[32:40]
	c.block, err = aes.NewCipher(text[:32])
	return err
}

func (c *classic) salt() []byte { return c.salt2 }

func (c *classic) send(b []byte) error {
	n := block - len(b)%block
	text := append(bytes.Clone(b), bytes.Repeat([]byte{byte(n)}, n)...)
	iv := make([]byte, block)
	rand.Read(iv)
	if c.p == xlreg.Protocol18 {
		iv = c.sent
	}
	cipher.NewCBCEncrypter(c.block, iv).CryptBlocks(text, text)
	c.sent = text[len(text)-block:]
	if c.p == xlreg.Protocol19 {
		text = append(bytes.Clone(iv), text...)
	}
	_, err := c.Write(text)
	return err
}

func (c *classic) receive() ([]byte, error) {
	buf := make([]byte, xlreg.MaxClassicMessage)
	for {
		if m := c.whole(); m != nil {
			return m, nil
		}
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		c.in = append(c.in, buf[:n]...)
	}
}

// whole returns the first message of what has come, if it is all there: it ends
// at the first block where it unpads and parses.
func (c *classic) whole() []byte {
	head, iv := 0, c.received
	if c.p == xlreg.Protocol19 && len(c.in) >= block {
		head, iv = block, c.in[:block]
	}
	for end := head + block; end <= len(c.in); end += block {
		text := make([]byte, end-head)
		cipher.NewCBCDecrypter(c.block, iv).CryptBlocks(text, c.in[head:end])
		n := int(text[len(text)-1])
		if n < 1 || n > block || !bytes.HasSuffix(text, bytes.Repeat([]byte{byte(n)}, n)) {
			continue
		}
		text = text[:len(text)-n]
		if _, err := wire.Unmarshal(text); err == nil {
			c.received, c.in = c.in[end-block:end], c.in[end:]
			return text
		}
	}
	return nil
}

// hungUp reports whether err is the end of a connection and not of patience.
func hungUp(err error) bool {
	var late net.Error
	return err != nil && (!errors.As(err, &late) || !late.Timeout())
}
