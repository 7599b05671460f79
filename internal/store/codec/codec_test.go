package codec_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/codec"
	"pgregory.net/rapid"
)

func sampleToken() xlreg.Token {
	return xlreg.Token{
		Name:        "m0",
		Attrs:       xlreg.AttrEphemeral | 1<<40,
		ID:          xlreg.NodeID(strings.Repeat("\x11", xlreg.ShortIDLen)),
		CommsKey:    "comms",
		SigKey:      "sig",
		Endpoints:   []xlreg.Endpoint{"[::1]:80", "a.b:65535"},
		DigSig2:     []byte{0xd2},
		Certificate: []byte{0xce, 0x00},
		Joined:      time.UnixMilli(1700000000123).UTC(),
	}
}

func sampleCluster() store.Cluster {
	return store.Cluster{
		Cluster: xlreg.Cluster{
			ID:            xlreg.ClusterID(strings.Repeat("\x22", xlreg.ShortIDLen)),
			Name:          "c",
			Attrs:         xlreg.ClusterUnique,
			MaxSize:       64,
			EndpointCount: 2,
		},
		Taken:    xlreg.AllSeats,
		Revision: 300,
	}
}

// The records below are on people's disks: they may never change. A new format
// is a new version, beside this one.
const (
	goldenToken = "026d30" + "8180808080" + "20" +
		"14" + "1111111111111111111111111111111111111111" +
		"05636f6d6d73" + "03736967" +
		"02" + "085b3a3a315d3a3830" + "09612e623a3635353335" +
		"01d2" + "02ce00" + "fb80c990eec10e"
	goldenNode    = "01" + goldenToken
	goldenSeat    = "01" + "3f" + goldenToken
	goldenCluster = "01" + "14" + "2222222222222222222222222222222222222222" + "0163" +
		"04" + "40" + "02" + "ffffffffffffffffff01" + "ac02"
)

func TestGolden(t *testing.T) {
	token, cluster := sampleToken(), sampleCluster()
	seat := xlreg.Member{Index: 63, Token: token}
	checkGolden(t, goldenNode, codec.AppendNode(nil, &token), token, codec.Node)
	checkGolden(t, goldenSeat, codec.AppendSeat(nil, &seat), seat, codec.Seat)
	checkGolden(t, goldenCluster, codec.AppendCluster(nil, &cluster), cluster, codec.Cluster)
}

func checkGolden[T any](t *testing.T, golden string, encoded []byte, value T, decode func([]byte) (T, error)) {
	t.Helper()
	if got := hex.EncodeToString(encoded); got != golden {
		t.Errorf("%T is written as\n%s, want\n%s", value, got, golden)
	}
	record, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(record)
	if err != nil || !reflect.DeepEqual(got, value) {
		t.Errorf("read %+v, %v, want %+v", got, err, value)
	}
}

func TestZeroValues(t *testing.T) {
	if got, err := codec.Node(codec.AppendNode(nil, &xlreg.Token{})); err != nil || !reflect.DeepEqual(got, xlreg.Token{}) {
		t.Errorf("node: %+v, %v", got, err)
	}
	if got, err := codec.Seat(codec.AppendSeat(nil, &xlreg.Member{})); err != nil || !reflect.DeepEqual(got, xlreg.Member{}) {
		t.Errorf("seat: %+v, %v", got, err)
	}
	if got, err := codec.Cluster(codec.AppendCluster(nil, &store.Cluster{})); err != nil || got != (store.Cluster{}) {
		t.Errorf("cluster: %+v, %v", got, err)
	}
}

func TestDigSigIsNotKept(t *testing.T) {
	token := sampleToken()
	without := codec.AppendNode(nil, &token)
	token.DigSig = []byte("signature")
	if !bytes.Equal(codec.AppendNode(nil, &token), without) {
		t.Error("the DigSig changes the record")
	}
}

func TestDecodedSharesNothing(t *testing.T) {
	want := xlreg.Member{Index: 5, Token: sampleToken()}
	record := codec.AppendSeat(nil, &want)
	got, err := codec.Seat(record)
	if err != nil {
		t.Fatal(err)
	}
	clear(record)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changed with the record: %+v", got)
	}
}

// Every record cut short, and every one with a byte more, is an error.
func TestCutShortAndTooLong(t *testing.T) {
	for _, golden := range []string{goldenNode, goldenSeat, goldenCluster} {
		record, err := hex.DecodeString(golden)
		if err != nil {
			t.Fatal(err)
		}
		for n := range record {
			checkDamaged(t, record[:n])
		}
		checkDamaged(t, append(record, 0))
	}
}

func TestDamaged(t *testing.T) {
	for name, text := range map[string]string{
		"later format":        "02" + goldenToken,
		"format zero":         "00" + goldenToken,
		"length past the end": "01" + "ffffffffffffffff7f",
		"integer of 65 bits":  "01" + "ffffffffffffffffff02",
		"endless integer":     "01" + strings.Repeat("ff", 30),
		"seat 64":             "01" + "40" + goldenToken,
		"size past 31 bits":   "01" + "0000" + "00" + "8080808008" + "00" + "00" + "00",
		"a billion endpoints": "01" + "00" + "00" + "00" + "00" + "00" + "8094ebdc03",
	} {
		record, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { checkDamaged(t, record) })
	}
}

// checkDamaged wants every decoder to refuse record; none reads another's.
func checkDamaged(t *testing.T, record []byte) {
	t.Helper()
	_, node := codec.Node(record)
	_, cluster := codec.Cluster(record)
	_, seat := codec.Seat(record)
	for _, err := range []error{node, cluster, seat} {
		if !errors.Is(err, codec.ErrRecord) {
			t.Errorf("%x: %v, want ErrRecord", record, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seat := xlreg.Member{Index: rapid.IntRange(0, 63).Draw(t, "index"), Token: drawToken(t)}
		record := codec.AppendSeat(nil, &seat)
		if most := codec.TokenSize(&seat.Token); len(record) > most {
			t.Fatalf("%d bytes, TokenSize says %d", len(record), most)
		}
		got, err := codec.Seat(record)
		if err != nil || !reflect.DeepEqual(got, seat) {
			t.Fatalf("seat: %+v, %v, want %+v", got, err, seat)
		}
		node, err := codec.Node(codec.AppendNode(nil, &seat.Token))
		if err != nil || !reflect.DeepEqual(node, seat.Token) {
			t.Fatalf("node: %+v, %v, want %+v", node, err, seat.Token)
		}
		cluster := drawCluster(t)
		read, err := codec.Cluster(codec.AppendCluster(nil, &cluster))
		if err != nil || read != cluster {
			t.Fatalf("cluster: %+v, %v, want %+v", read, err, cluster)
		}
	})
}

func drawToken(t *rapid.T) xlreg.Token {
	text := rapid.StringN(0, 40, 300)
	token := xlreg.Token{
		Name:     xlreg.Name(text.Draw(t, "name")),
		Attrs:    xlreg.NodeAttrs(rapid.Uint64().Draw(t, "attrs")),
		ID:       xlreg.NodeID(text.Draw(t, "id")),
		CommsKey: xlreg.CommsKey(text.Draw(t, "comms")),
		SigKey:   xlreg.SigKey(text.Draw(t, "sig")),
		DigSig2:  []byte(text.Filter(func(s string) bool { return s != "" }).Draw(t, "digsig2")),
	}
	for _, e := range rapid.SliceOfN(text, 0, xlreg.MaxEndpoints).Draw(t, "endpoints") {
		token.Endpoints = append(token.Endpoints, xlreg.Endpoint(e))
	}
	if ms := rapid.Int64().Draw(t, "joined"); ms%2 == 0 {
		token.Joined = time.UnixMilli(ms % (1 << 50)).UTC()
	}
	return token
}

func drawCluster(t *rapid.T) store.Cluster {
	text := rapid.StringN(0, 40, 300)
	return store.Cluster{
		Cluster: xlreg.Cluster{
			ID:            xlreg.ClusterID(text.Draw(t, "cluster id")),
			Name:          xlreg.Name(text.Draw(t, "cluster name")),
			Attrs:         xlreg.ClusterAttrs(rapid.Uint64().Draw(t, "cluster attrs")),
			MaxSize:       rapid.IntRange(0, 64).Draw(t, "size"),
			EndpointCount: rapid.IntRange(0, 16).Draw(t, "count"),
		},
		Taken:    xlreg.Seats(rapid.Uint64().Draw(t, "taken")),
		Revision: rapid.Uint64().Draw(t, "revision"),
	}
}

// FuzzDecode wants every input refused with ErrRecord, or read to something
// that is read again from its own record.
func FuzzDecode(f *testing.F) {
	for _, golden := range []string{goldenNode, goldenSeat, goldenCluster, "", "01", "02ff"} {
		record, err := hex.DecodeString(golden)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		refuzz(t, record, codec.Node, codec.AppendNode)
		refuzz(t, record, codec.Seat, codec.AppendSeat)
		refuzz(t, record, codec.Cluster, codec.AppendCluster)
	})
}

func refuzz[T any](t *testing.T, record []byte, decode func([]byte) (T, error), encode func([]byte, *T) []byte) {
	first, err := decode(record)
	if err != nil {
		if !errors.Is(err, codec.ErrRecord) {
			t.Fatalf("%T: %v, want ErrRecord", first, err)
		}
		return
	}
	again, err := decode(encode(nil, &first))
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Fatalf("read %+v, then %+v, %v", first, again, err)
	}
}

func BenchmarkSeat(b *testing.B) {
	m := xlreg.Member{Token: sampleToken()}
	m.Token.CommsKey = xlreg.CommsKey(strings.Repeat("k", 294))
	m.Token.SigKey = xlreg.SigKey(strings.Repeat("k", 294))
	m.Token.DigSig2 = make([]byte, 256)
	m.Token.Certificate = make([]byte, 900)
	record := codec.AppendSeat(nil, &m)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Seat(record); err != nil {
			b.Fatal(err)
		}
	}
}
