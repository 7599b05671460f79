package original

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"regexp"
	"testing"
)

// The recordings are whole formations between original servers and clients.
const recordings = "../session/testdata/recorded/"

var releases = map[Generation]string{V18: "1.8.4", V19: "1.9.24"}

type record struct {
	Session   int
	Dir, Kind string
	Wire      hexBytes
	Plain     hexBytes
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readRecords(t *testing.T, g Generation) []record {
	t.Helper()
	f, err := os.Open(recordings + releases[g] + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []record
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil || len(all) < 20 {
		t.Fatalf("%d records: %v", len(all), err)
	}
	return all
}

func readKey(t *testing.T, g Generation) *rsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile(recordings + releases[g] + "-server-comms.json")
	if err != nil {
		t.Fatal(err)
	}
	var text struct {
		N, D, P, Q string
		E          int
	}
	if err := json.Unmarshal(data, &text); err != nil {
		t.Fatal(err)
	}
	number := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 16)
		if !ok {
			t.Fatalf("number %q", s)
		}
		return n
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(text.N), E: text.E},
		D:         number(text.D), Primes: []*big.Int{number(text.P), number(text.Q)},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	return key
}

// The carrier decrypts every recorded byte to what it was, and encrypts it to the
// same bytes again. What it proves of the fake it proves against the originals.
func TestCarrierOfRecordedSessions(t *testing.T) {
	for g, release := range releases {
		t.Run(release, func(t *testing.T) {
			key := readKey(t, g)
			var once, c peer
			for _, r := range readRecords(t, g) {
				switch r.Kind {
				case "hello":
					hello, err := rsa.DecryptOAEP(sha1.New(), nil, key, r.Wire, nil)
					if err != nil || !bytes.Equal(hello, r.Plain) {
						t.Fatalf("hello %x, %v", hello, err)
					}
					once = newPeer(t, g, hello)
				case "helloReply":
					c = checkReply(t, g, once, r)
				default:
					c.check(t, r)
				}
			}
		})
	}
}

// checkReply takes the session's key from a reply, and holds the reply against
// what was said in the hello.
func checkReply(t *testing.T, g Generation, once peer, r record) peer {
	t.Helper()
	wire := []byte(r.Wire)
	if g == V18 {
		wire = append(bytes.Clone(once.in), wire...)
	}
	text, err := decrypt(once.block, wire)
	if err != nil {
		t.Fatal(err)
	}
	version := g.version()
	if !bytes.Equal(text, r.Plain) || !bytes.HasSuffix(text, version[:]) {
		t.Fatalf("reply %x, want %x", text, r.Plain)
	}
	return newPeer(t, g, text)
}

func (p *peer) check(t *testing.T, r record) {
	t.Helper()
	chain := &p.in
	if r.Dir == "c2s" {
		chain = &p.out
	}
	wire := []byte(r.Wire)
	if *chain != nil {
		wire = append(bytes.Clone(*chain), wire...)
		*chain = wire[len(wire)-aes.BlockSize:]
	}
	text, err := decrypt(p.block, wire)
	if err != nil || !bytes.Equal(text, r.Plain) {
		t.Fatalf("%s: %x, %v", r.Kind, text, err)
	}
	if again := encrypt(p.block, wire[:ivLen], text); !bytes.Equal(again, wire) {
		t.Fatalf("%s encrypts to %x", r.Kind, again)
	}
}

// The fake, asked what the recorded clients asked, answers what the originals
// answered, byte for byte but for the ID that it gives the cluster.
func TestRepliesOfRecordedSessions(t *testing.T) {
	// Which messages follow each other across sessions is not in the recordings,
	// but for what the rosters show: here are runs of session and pairs of messages.
	order := map[Generation][][2]int{
		V18: {{1, 4}, {2, 4}, {3, 9}, {2, 9}},
		V19: {{1, 4}, {2, 3}, {3, 9}, {2, 9}},
	}
	for g, release := range releases {
		t.Run(release, func(t *testing.T) {
			s := start(t, Options{Generation: g, Comms: readKey(t, g)})
			left := make(map[int][]record)
			for _, r := range readRecords(t, g) {
				left[r.Session] = append(left[r.Session], r)
			}
			p := replay{server: s, peers: make(map[int]*peer), left: left}
			for _, run := range order[g] {
				for n := 0; n < run[1] && len(left[run[0]]) > 0; n++ {
					p.pair(t, run[0])
				}
			}
			if n := len(left[1]) + len(left[2]) + len(left[3]); n > 0 || p.pairs < 13 {
				t.Errorf("%d pairs are answered, %d messages are left", p.pairs, n)
			}
		})
	}
}

type replay struct {
	server      *Server
	peers       map[int]*peer
	left        map[int][]record
	ours, their []byte // the cluster's ID, here and in the recording
	pairs       int
}

// pair sends a session's next request and holds the reply against the recorded one.
func (p *replay) pair(t *testing.T, session int) {
	t.Helper()
	request, reply := p.left[session][0], p.left[session][1]
	p.left[session] = p.left[session][2:]
	p.pairs++
	if request.Kind == "hello" {
		p.peers[session] = dialWith(t, p.server, request.Wire, request.Plain)
		return
	}
	text := request.Plain
	if p.their != nil {
		text = bytes.ReplaceAll(text, p.their, p.ours)
	}
	got := p.peers[session].ask(t, text)
	if reply.Kind == "CreateReply" {
		p.ours, p.their = id(t, got), id(t, reply.Plain)
	}
	if want := bytes.ReplaceAll(reply.Plain, p.their, p.ours); p.their != nil && !bytes.Equal(got, want) || p.their == nil && !bytes.Equal(got, reply.Plain) {
		t.Errorf("%s in session %d is answered\n%x, want\n%x", request.Kind, session, got, reply.Plain)
	}
}

func id(t *testing.T, reply []byte) []byte {
	t.Helper()
	m, err := parse(reply)
	if err != nil || len(m.text(fieldClusterID)) != idLen {
		t.Fatalf("no cluster's ID in %x: %v", reply, err)
	}
	return m.text(fieldClusterID)
}

// The credentials differ from those of the originals in what is this server's own.
func TestRegCred(t *testing.T) {
	own := regexp.MustCompile(`ID: [0-9a-f]{40}|ssh-rsa [0-9A-Za-z+/]{372}|127\.0\.0\.1:\d+`)
	for g, release := range releases {
		want, err := os.ReadFile(recordings + release + "-regCred.dat")
		if err != nil {
			t.Fatal(err)
		}
		got := start(t, Options{Generation: g}).RegCred()
		if got, want := own.ReplaceAll(got, []byte("own")), own.ReplaceAll(want, []byte("own")); !bytes.Equal(got, want) {
			t.Errorf("%s: credentials\n%q, want\n%q", release, got, want)
		}
	}
}
