package session

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// record is one message of a recorded session of the original programs.
type record struct {
	Session int
	Dir     string
	Kind    string
	Wire    hexBytes
	Plain   hexBytes
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

func readRecords(t *testing.T, name string) []record {
	t.Helper()
	f, err := os.Open("testdata/recorded/" + name + ".jsonl")
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
	if err := lines.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%d records: %v", len(all), err)
	}
	return all
}

func readRecordedKey(t *testing.T, name string) *rsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile("testdata/recorded/" + name + "-server-comms.json")
	if err != nil {
		t.Fatal(err)
	}
	var numbers struct {
		N, D, P, Q string
		E          int
	}
	if err := json.Unmarshal(data, &numbers); err != nil {
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
		PublicKey: rsa.PublicKey{N: number(numbers.N), E: numbers.E},
		D:         number(numbers.D),
		Primes:    []*big.Int{number(numbers.P), number(numbers.Q)},
	}
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	key.Precompute()
	return key
}

// replay is one recorded session, as both of its ends see it.
type replay struct {
	hello *hello
	keys  sessionKeys
	ends  map[string]*classic // by direction: reads and writes it
}

// TestRecorded reads and writes again, byte for byte, what the original
// programs said to each other.
func TestRecorded(t *testing.T) {
	for _, tc := range []struct {
		name     string
		protocol xlreg.Protocol
		sessions int
	}{
		{"1.8.4", xlreg.Protocol18, 3},
		{"1.9.24", xlreg.Protocol19, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := readRecordedKey(t, tc.name)
			replays := make(map[int]*replay)
			for _, r := range readRecords(t, tc.name) {
				switch s := replays[r.Session]; r.Kind {
				case "hello":
					replays[r.Session] = replayHello(t, r, key, tc.protocol)
				case "helloReply":
					s.reply(t, r)
				default:
					s.message(t, r)
				}
			}
			if len(replays) != tc.sessions {
				t.Errorf("%d sessions, want %d", len(replays), tc.sessions)
			}
		})
	}
}

func replayHello(t *testing.T, r record, key *rsa.PrivateKey, p xlreg.Protocol) *replay {
	t.Helper()
	plain, err := private(key).(keys.Decrypter).Decrypt(r.Wire)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(plain, r.Plain) {
		t.Fatalf("hello decrypts to %x, want %x", plain, r.Plain)
	}
	h, err := parseHello(plain)
	if err != nil {
		t.Fatal(err)
	}
	if h.protocol != p || h.version != 0 || !bytes.Equal(h.marshal(), plain) {
		t.Fatalf("hello of %v, version %v, comes back as %x", h.protocol, h.version, h.marshal())
	}
	return &replay{hello: h}
}

func (s *replay) reply(t *testing.T, r record) {
	t.Helper()
	reply, err := s.hello.open(r.Wire)
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.append(nil, s.hello); !bytes.Equal(got, r.Plain) {
		t.Fatalf("reply decrypts to %x, want %x", got, r.Plain)
	}
	again, err := reply.seal(s.hello, [aes.BlockSize]byte(r.Wire))
	if err != nil || !bytes.Equal(again, r.Wire) {
		t.Fatalf("reply is %x when written again (%v), want %x", again, err, r.Wire)
	}
	s.keys = reply.sessionKeys
	s.ends = make(map[string]*classic)
	for _, dir := range []string{"c2s", "s2c"} {
		if s.ends[dir], err = newClassic(s.keys); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *replay) message(t *testing.T, r record) {
	t.Helper()
	end := s.ends[r.Dir]
	m, used, err := end.decode(r.Wire)
	if err != nil || m == nil || used != len(r.Wire) {
		t.Fatalf("%s: message %v of %d bytes, %v; want %d bytes", r.Kind, m, used, err, len(r.Wire))
	}
	if text(t, m) != string(r.Plain) || m.Op().String() != r.Kind {
		t.Fatalf("%s: read %v, %x, want %x", r.Kind, m.Op(), text(t, m), r.Plain)
	}
	if got := s.write(t, end, m, r.Wire); !bytes.Equal(got, r.Wire) {
		t.Fatalf("%s: written again as %x, want %x", r.Kind, got, r.Wire)
	}
}

// write writes m as the recorded writer did; over 1.9 with the same IV.
func (s *replay) write(t *testing.T, end *classic, m *wire.Message, recorded []byte) []byte {
	t.Helper()
	if s.keys.protocol == xlreg.Protocol19 {
		b, err := m.Append(bytes.Clone(recorded[:aes.BlockSize]))
		if err != nil {
			t.Fatal(err)
		}
		return seal(end.sealer.block, b)
	}
	b, err := end.seal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
