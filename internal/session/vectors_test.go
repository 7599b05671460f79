package session

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/docs/vectors"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// TestVectors runs the classes of docs/vectors that are about carriers. How many
// there are is asserted by vectors.Class, and that none is left out of both
// places by the tests of that package.
func TestVectors(t *testing.T) {
	for class, run := range map[string]func(*testing.T, vectors.Vector){
		"classic":     runClassicVector,
		"detect":      runDetectVector,
		"frame":       runFrameVector,
		"hello":       runHelloVector,
		"helloreply":  runReplyVector,
		"recorded":    runRecordedVector,
		"serverchain": runChainVector,
	} {
		list, err := vectors.Class(class)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			t.Run(v.Name, func(t *testing.T) { run(t, v) })
		}
	}
}

func decodeVector(t *testing.T, v vectors.Vector, input, want any) {
	t.Helper()
	if err := v.Decode(input, want); err != nil {
		t.Fatal(err)
	}
}

// checkVector reports whether err is there if, and only if, the vector fails. It
// returns whether the caller goes on to compare what came out.
func checkVector(t *testing.T, v vectors.Vector, err error) bool {
	t.Helper()
	if (err == nil) != (v.Layer == vectors.Success) {
		t.Errorf("got %v, want layer %s: %s", err, v.Layer, v.About)
	}
	return v.Layer == vectors.Success && err == nil
}

func vectorKey(t *testing.T, name string) any {
	t.Helper()
	data, err := vectors.Key(name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("not PEM:", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func vectorComms(t *testing.T, name string) keys.Decrypter {
	t.Helper()
	key, err := keys.NewPrivate(vectorKey(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return key.(keys.Decrypter)
}

func vectorProtocol(t *testing.T, generation string) xlreg.Protocol {
	t.Helper()
	p, err := xlreg.ParseProtocol(generation)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// oneByOne is a connection that gives its bytes singly.
type oneByOne struct{ rest []byte }

func (r *oneByOne) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:1], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func runDetectVector(t *testing.T, v vectors.Vector) {
	var input struct{ Bytes vectors.Hex }
	var want struct {
		Carrier string
		After   int `json:"decided_after"`
	}
	decodeVector(t, v, &input, &want)
	in := inbox{src: &oneByOne{input.Bytes}, limit: xlreg.MaxClassicMessage}
	modern, err := sniff(&in)
	got := map[bool]string{false: "classic", true: "tls"}[modern]
	if err != nil {
		got, in.buf = "undecided", nil
	}
	if got != want.Carrier || in.len() != want.After {
		t.Errorf("%s after %d bytes, want %s after %d", got, in.len(), want.Carrier, want.After)
	}
}

func runHelloVector(t *testing.T, v vectors.Vector) {
	var input struct {
		Key        string
		Ciphertext vectors.Hex
	}
	var want struct {
		Generation, Version1 string
		IV1, Key1, Salt1     vectors.Hex
		Plaintext            vectors.Hex
	}
	decodeVector(t, v, &input, &want)
	var h *hello
	plain, err := vectorComms(t, input.Key).Decrypt(input.Ciphertext)
	if err == nil {
		h, err = parseHello(plain)
	}
	if !checkVector(t, v, err) {
		return
	}
	same := h.protocol.String() == want.Generation && h.version.String() == want.Version1 &&
		bytes.Equal(h.key1[:], want.Key1) && bytes.Equal(h.salt1[:], want.Salt1) &&
		(want.IV1 == nil || bytes.Equal(h.iv1[:], want.IV1))
	if !same || !bytes.Equal(h.marshal(), want.Plaintext) {
		t.Errorf("got %+v, encoded %x", h, h.marshal())
	}
}

func runReplyVector(t *testing.T, v vectors.Vector) {
	var input struct {
		Generation             string
		IV1, Key1, Salt1, Wire vectors.Hex
	}
	var want struct {
		IV, IV2, Key2, Salt1, Salt2, Plaintext vectors.Hex
		Version2                               string
	}
	decodeVector(t, v, &input, &want)
	h := &hello{protocol: vectorProtocol(t, input.Generation)}
	copy(h.iv1[:], input.IV1)
	copy(h.key1[:], input.Key1)
	copy(h.salt1[:], input.Salt1)
	r, err := openReply(h, input.Wire)
	if !checkVector(t, v, err) {
		return
	}
	same := bytes.Equal(r.key[:], want.Key2) && bytes.Equal(r.salt2[:], want.Salt2) && r.version.String() == want.Version2 &&
		(want.IV2 == nil || bytes.Equal(r.iv[:], want.IV2)) && (want.Salt1 == nil || bytes.Equal(h.salt1[:], want.Salt1))
	if !same || !bytes.Equal(r.append(nil, h), want.Plaintext) {
		t.Errorf("got %+v", r)
	}
	var iv [aes.BlockSize]byte
	copy(iv[:], want.IV)
	if again, err := r.seal(h, iv); err != nil || !bytes.Equal(again, input.Wire) {
		t.Errorf("sealed %x, %v", again, err)
	}
}

// openReply reads the reply as a client does, which waits for all of it first.
func openReply(h *hello, wire []byte) (*helloReply, error) {
	in := inbox{src: bytes.NewReader(wire), limit: xlreg.MaxClassicMessage}
	if err := in.await(h.replyLen()); err != nil {
		return nil, err
	}
	return h.open(in.bytes()[:h.replyLen()])
}

type plainMessage struct{ Plain vectors.Hex }

// drain feeds a codec with the pieces and returns the messages that come out, and
// the error that stops it.
func drain(c codec, pieces [][]byte) (got []*wire.Message, rest []byte, err error) {
	for _, piece := range pieces {
		rest = append(rest, piece...)
		for {
			m, used, err := c.decode(rest)
			rest = rest[used:]
			if err != nil {
				return got, rest, err
			}
			if m == nil {
				break
			}
			got = append(got, m)
		}
	}
	return got, rest, nil
}

// compareMessages holds messages against those wanted, each read anew from its
// plaintext, since fields that nobody knows may move when they are encoded.
func compareMessages(t *testing.T, how string, got []*wire.Message, want []plainMessage) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d messages, want %d", how, len(got), len(want))
	}
	for i := range got {
		m, err := wire.Unmarshal(want[i].Plain)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := text(t, got[i]), text(t, m); a != b {
			t.Errorf("%s: message %d is %x, want %x", how, i, a, b)
		}
	}
}

type classicInput struct {
	Generation string
	Key2, IV2  vectors.Hex
	Wire       []vectors.Hex
}

func (in *classicInput) codec(t *testing.T) *classic {
	t.Helper()
	keys := sessionKeys{protocol: vectorProtocol(t, in.Generation)}
	copy(keys.iv[:], in.IV2)
	copy(keys.key[:], in.Key2)
	c, err := newClassic(keys)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ways are how a stream may be cut: not at all, into single bytes, and in two at
// every place, or at some of them if it is long.
func ways(stream []byte) map[string][][]byte {
	singly := make([][]byte, len(stream))
	for i := range stream {
		singly[i] = stream[i : i+1]
	}
	all := map[string][][]byte{"whole": {stream}, "singly": singly}
	for at := 1; at < len(stream); at += 1 + len(stream)/300 {
		all[fmt.Sprintf("cut at %d", at)] = [][]byte{stream[:at], stream[at:]}
	}
	return all
}

func runClassicVector(t *testing.T, v vectors.Vector) {
	var input classicInput
	var want struct{ Messages []plainMessage }
	decodeVector(t, v, &input, &want)
	var stream []byte
	for _, b := range input.Wire {
		stream = append(stream, b...)
	}
	for how, pieces := range ways(stream) {
		c := input.codec(t)
		got, rest, err := drain(c, pieces)
		if err != nil {
			t.Fatalf("%s: a classic carrier answered %v", how, err)
		}
		compareMessages(t, how, got, want.Messages)
		whole := len(rest) == 0 && !c.lost
		if whole != (v.Layer == vectors.Success) {
			t.Errorf("%s: all of it read: %t, want layer %s", how, whole, v.Layer)
		}
	}
	if v.Layer == vectors.Success {
		resealVector(t, &input, want.Messages)
	}
}

// resealVector encrypts the messages again, with the IVs of the vector.
func resealVector(t *testing.T, input *classicInput, messages []plainMessage) {
	t.Helper()
	c := input.codec(t)
	chain := c.sealer.chain
	for i, m := range messages {
		iv, head := chain, 0
		if chain == nil {
			iv, head = input.Wire[i][:aes.BlockSize], aes.BlockSize
		}
		b := seal(c.sealer.block, append(slices.Clone(iv), m.Plain...))
		if got := b[aes.BlockSize-head:]; !bytes.Equal(got, input.Wire[i]) {
			t.Errorf("message %d sealed as %x", i, got)
		}
		if chain != nil {
			chain = b[len(b)-aes.BlockSize:]
		}
	}
}

func runFrameVector(t *testing.T, v vectors.Vector) {
	var input struct {
		From  string
		Bytes vectors.Hex
	}
	var want struct {
		Messages []plainMessage
		vectors.Refusal
	}
	decodeVector(t, v, &input, &want)
	most := map[string]int{"client": xlreg.MaxRequestFrame, "server": xlreg.MaxReplyFrame}[input.From]
	for how, pieces := range ways(input.Bytes) {
		c := &framing{readMax: most}
		got, rest, err := drain(c, pieces)
		compareMessages(t, how, got, want.Messages)
		if truncated := strings.Contains(v.Name, "truncated"); truncated && err == nil && len(rest) > 0 {
			err = xlreg.ErrProtocol // what a server answers with when the time is over
		}
		checkVector(t, v, err)
		if err != nil && !errors.Is(err, xlreg.Kind(want.Error.Code)) {
			t.Errorf("%s: got %v, want error %d", how, err, want.Error.Code)
		}
	}
}

type recordedStep struct {
	From  string
	Wire  vectors.Hex
	Kind  string
	Plain vectors.Hex
}

// runRecordedVector decrypts a session between original programs.
func runRecordedVector(t *testing.T, v vectors.Vector) {
	var input struct {
		Generation, Key string
		Steps           []recordedStep
	}
	var want struct{ Steps []recordedStep }
	decodeVector(t, v, &input, &want)
	plain, err := vectorComms(t, input.Key).Decrypt(input.Steps[0].Wire)
	if err != nil || !bytes.Equal(plain, want.Steps[0].Plain) {
		t.Fatalf("hello: %x, %v", plain, err)
	}
	h, err := parseHello(plain)
	if err != nil {
		t.Fatal(err)
	}
	r, err := openReply(h, input.Steps[1].Wire)
	if err != nil || r.protocol.String() != input.Generation || !bytes.Equal(r.append(nil, h), want.Steps[1].Plain) {
		t.Fatalf("reply: %+v, %v", r, err)
	}
	ends := make(map[string]*classic)
	for _, from := range []string{"client", "server"} {
		if ends[from], err = newClassic(r.sessionKeys); err != nil {
			t.Fatal(err)
		}
	}
	for i := 2; i < len(input.Steps); i++ {
		got, rest, err := drain(ends[input.Steps[i].From], [][]byte{input.Steps[i].Wire})
		if err != nil || len(rest) > 0 {
			t.Fatalf("step %d: %v, %d bytes left", i, err, len(rest))
		}
		compareMessages(t, fmt.Sprintf("step %d", i), got, []plainMessage{{want.Steps[i].Plain}})
	}
}

// runChainVector lets a client meet a server that shows the chain and has the
// leaf's key.
func runChainVector(t *testing.T, v vectors.Vector) {
	var input struct {
		Chain       []vectors.Hex
		Now         time.Time
		SigKey      vectors.Hex `json:"sig_key"`
		Fingerprint string
	}
	var want struct {
		SigKey vectors.Hex `json:"sig_key"`
		Next   vectors.Hex `json:"next_key"`
		Until  string      `json:"next_until"`
		Print  string      `json:"next_fingerprint"`
	}
	decodeVector(t, v, &input, &want)
	shown := tls.Certificate{PrivateKey: vectorKey(t, "registry-leaf")}
	for _, der := range input.Chain {
		shown.Certificate = append(shown.Certificate, der)
	}
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() {
		defer far.Close()
		served <- tls.Server(far, &tls.Config{Certificates: []tls.Certificate{shown}, NextProtos: []string{ALPN}}).Handshake()
	}()
	c, err := Connect(context.Background(), near, ClientConfig{
		Protocol: xlreg.Protocol20, SigKey: xlreg.SigKey(input.SigKey), Fingerprint: input.Fingerprint,
		Now: func() time.Time { return input.Now },
	})
	near.Close()
	<-served
	if v.Layer != vectors.Success && !errors.Is(err, ErrUntrusted) && !errors.Is(err, ErrClock) {
		t.Errorf("got %v, want %v or %v", err, ErrUntrusted, ErrClock)
	}
	if !checkVector(t, v, err) {
		return
	}
	if string(c.Peer().SigKey) != string(want.SigKey) {
		t.Errorf("the registry's key is %x", c.Peer().SigKey)
	}
	next := c.Peer().Next
	if next == nil {
		next = new(NextKey)
	}
	if string(next.SigKey) != string(want.Next) {
		t.Errorf("the next key is %x", next.SigKey)
	}
	if want.Next != nil && (fingerprint(t, next.SigKey) != want.Print || next.Until.UTC().Format(time.RFC3339) != want.Until) {
		t.Errorf("the next key is good until %v", next.Until)
	}
}
