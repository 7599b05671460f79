package wire_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"reflect"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

var (
	key1024 = sync.OnceValue(func() []byte { return makeKey(1024) })
	key2048 = sync.OnceValue(func() []byte { return makeKey(2048) })
)

// keyP256 is a key that classic peers do not know.
var keyP256 = sync.OnceValue(func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return publicDER(&key.PublicKey)
})

func makeKey(bits int) []byte {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return publicDER(&key.PublicKey)
}

func publicDER(key any) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return der
}

// newToken returns a token with everything that a client or a registry sets.
func newToken(t tester) xlreg.Token {
	t.Helper()
	return xlreg.Token{
		Name:        "m0",
		Attrs:       xlreg.AttrAdmin,
		ID:          xlreg.NodeID(strings.Repeat("\x01", xlreg.LongIDLen)),
		CommsKey:    xlreg.CommsKey(key2048()),
		SigKey:      xlreg.SigKey(key2048()),
		Endpoints:   []xlreg.Endpoint{"127.0.0.1:4000", "[::1]:4001"},
		DigSig:      []byte("classic signature"),
		DigSig2:     []byte("modern signature"),
		Certificate: []byte("certificate"),
		CommsSig:    []byte("comms signature"),
		Labels:      must[[]byte](t)(wire.EncodeLabels([]xlreg.Label{{Key: "role", Value: []byte("worker")}})),
		Seat: xlreg.SeatState{
			Joined:    time.UnixMilli(1_700_000_000_123).UTC(),
			Admission: []byte("admission"),
			Lease:     15 * time.Second,
			Seen:      time.UnixMilli(1_700_000_123_000).UTC(),
			Run:       "run",
		},
	}
}

func newCluster() xlreg.Cluster {
	return xlreg.Cluster{
		ID:            xlreg.ClusterID(strings.Repeat("\x02", xlreg.ShortIDLen)),
		Name:          "c0",
		Attrs:         xlreg.ClusterUnique,
		MaxSize:       64,
		EndpointCount: 2,
	}
}

// newKeyed returns a cluster that exists over 2.0 alone.
func newKeyed() xlreg.Cluster {
	c := newCluster()
	c.Key = xlreg.ClusterKey(strings.Repeat("\x03", xlreg.ClusterKeyLen))
	c.MaxSize = xlreg.MaxClusterSize
	return c
}

func newState() xlreg.ClusterState {
	return xlreg.ClusterState{Epoch: 2, Revision: 1_700_000_000_000, Orders: 3}
}

var (
	protocols = []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20}
	classics  = protocols[:2]
)

// tester is what testing.T, testing.F and rapid.T have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

func encode(t tester, m *wire.Message) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != m.Size() {
		t.Fatalf("Size of %v is %d, encoded it has %d bytes", m.Op(), m.Size(), len(b))
	}
	return b
}

// travel sends m through its encoding.
func travel(t tester, m *wire.Message) *wire.Message {
	t.Helper()
	got, err := wire.Unmarshal(encode(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if got.Op() != m.Op() {
		t.Fatalf("Op %v became %v", m.Op(), got.Op())
	}
	return got
}

// raw makes a message of what a peer could have sent.
func raw(t tester, pb *xlregpb.XLRegMsg) *wire.Message {
	t.Helper()
	b, err := proto.Marshal(pb)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func op(o wire.Op) *xlregpb.XLRegMsg_Tag { return xlregpb.XLRegMsg_Tag(o).Enum() }

func equal(t tester, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func must[T any](t tester) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantKind(t tester, err error, want xlreg.Kind) {
	t.Helper()
	if kind, ok := xlreg.KindOf(err); !ok || kind != want {
		t.Errorf("error %v, want one of kind %q", err, want)
	}
}
