package records

import (
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
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
	}
}

func sampleMember(index int) xlreg.Member {
	m := xlreg.Member{Index: index, Token: sampleToken()}
	m.Token.Joined = time.UnixMilli(1700000000123).UTC()
	return m
}

func sampleCluster() Cluster {
	return Cluster{
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

// The records below are on people's disks: they may never change. A new form is a
// new version, beside this one.
const (
	goldenToken = "0a026d30" + "108180808080" + "20" + "1a141111111111111111111111111111111111111111" +
		"2205636f6d6d73" + "2a03736967" + "32085b3a3a315d3a3830" + "3209612e623a3635353335" +
		"3a01d2" + "4202ce00"
	goldenNode    = "01" + "090e8894" + "0a49" + goldenToken
	goldenSeat    = "01" + "b1db304e" + "083f" + "1249" + goldenToken + "18fbd095ffbc31"
	goldenCluster = "01" + "ce38b8f8" + "0a142222222222222222222222222222222222222222" + "120163" +
		"1804" + "2040" + "2802" + "31ffffffffffffffff" + "38ac02"
)

func TestGolden(t *testing.T) {
	token, seat, cluster := sampleToken(), sampleMember(63), sampleCluster()
	for _, c := range []struct {
		golden, key string
		message     proto.Message
		empty       proto.Message
	}{
		{goldenNode, nodeKey(token.ID), &recordspb.Node{Token: tokenToPB(&token)}, new(recordspb.Node)},
		{goldenSeat, seatKey(cluster.ID, 63), seatToPB(&seat), new(recordspb.Seat)},
		{goldenCluster, clusterKey(cluster.ID), clusterToPB(&cluster), new(recordspb.Cluster)},
	} {
		record := must[[]byte](t)(current.encode(c.key, c.message))
		if got := hex.EncodeToString(record); got != c.golden {
			t.Errorf("%T is written as\n%s, want\n%s", c.message, got, c.golden)
		}
		golden := must[[]byte](t)(hex.DecodeString(c.golden))
		if err := current.decode(c.key, golden, c.empty); err != nil || !proto.Equal(c.empty, c.message) {
			t.Errorf("read %v, %v, want %v", c.empty, err, c.message)
		}
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// What is kept of each noun is all of it but the classic signature, and of a time
// its milliseconds.
func TestNounsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := memory.New()
		defer s.Close()
		want := drawCluster(t)
		node := drawToken(t)
		node.DigSig = []byte("never kept")
		members := drawMembers(t, want.MaxSize)
		err := s.Update(t.Context(), func(tx store.Writer) error {
			w, c := NewWriter(tx), Cluster{Cluster: want}
			err := errors.Join(w.PutNode(&node, nil), w.AddCluster(&want))
			for i := range members {
				err = errors.Join(err, w.PutSeat(&c, &members[i]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		node.DigSig = nil
		err = s.View(t.Context(), func(tx store.Reader) error {
			compareAll(t, NewReader(tx), want, node, members)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func compareAll(t *rapid.T, r Reader, want xlreg.Cluster, node xlreg.Token, members []xlreg.Member) {
	byID, idErr := r.Cluster(want.ID)
	byName, nameErr := r.ClusterByName(want.Name)
	if idErr != nil || nameErr != nil || byID != byName || byID.Cluster != want || byID.Revision != uint64(len(members)) {
		t.Errorf("cluster %+v, %v; by name %+v, %v; want %+v", byID, idErr, byName, nameErr, want)
	}
	if got, err := r.Node(node.ID); err != nil || !reflect.DeepEqual(got, node) {
		t.Errorf("node %+v, %v, want %+v", got, err, node)
	}
	seats, err := r.Seats(want.ID)
	if err != nil || len(seats) != len(members) || len(seats) > 0 && !reflect.DeepEqual(seats, members) {
		t.Errorf("seats %+v, %v, want %+v", seats, err, members)
	}
	for _, m := range members {
		byNode, nodeErr := r.SeatOf(want.ID, m.Token.ID)
		named, nameErr := r.SeatNamed(want.ID, m.Token.Name)
		if nodeErr != nil || nameErr != nil || byNode.Index != m.Index || named.Index != m.Index || !byID.Taken.Has(m.Index) {
			t.Errorf("member %d is found at %d, %v, by name at %d, %v", m.Index, byNode.Index, nodeErr, named.Index, nameErr)
		}
	}
}

func drawID(t *rapid.T) string {
	length := rapid.SampledFrom([]int{xlreg.ShortIDLen, xlreg.LongIDLen}).Draw(t, "length")
	return string(rapid.SliceOfN(rapid.Byte(), length, length).Draw(t, "id"))
}

func drawToken(t *rapid.T) xlreg.Token {
	some := rapid.SliceOfN(rapid.Byte(), 1, 9)
	token := xlreg.Token{
		Name:     xlreg.Name(rapid.StringMatching(`[a-z][a-z0-9]{0,9}`).Draw(t, "name")),
		Attrs:    xlreg.NodeAttrs(rapid.Uint64().Draw(t, "attrs")),
		ID:       xlreg.NodeID(drawID(t)),
		CommsKey: xlreg.CommsKey(some.Draw(t, "comms")), SigKey: xlreg.SigKey(some.Draw(t, "sig")),
	}
	if rapid.Bool().Draw(t, "signed") {
		token.DigSig2, token.Certificate = some.Draw(t, "signature"), some.Draw(t, "certificate")
	}
	for range rapid.IntRange(0, 3).Draw(t, "endpoints") {
		token.Endpoints = append(token.Endpoints, "a.example:1")
	}
	return token
}

func drawCluster(t *rapid.T) xlreg.Cluster {
	return xlreg.Cluster{
		ID: xlreg.ClusterID(drawID(t)), Name: xlreg.Name(rapid.StringMatching(`[a-z][a-z0-9]{0,9}`).Draw(t, "cluster")),
		Attrs: xlreg.ClusterAttrs(rapid.Uint64().Draw(t, "attrs")), MaxSize: rapid.IntRange(2, 64).Draw(t, "size"), EndpointCount: 2,
	}
}

// drawMembers returns members of different names and IDs, in the order of their indexes.
func drawMembers(t *rapid.T, size int) []xlreg.Member {
	var members []xlreg.Member
	for index := range rapid.IntRange(0, min(size, 5)).Draw(t, "members") {
		m := xlreg.Member{Index: 3 * index % 64, Token: drawToken(t)}
		m.Token.Name += xlreg.Name(rune('A' + index))
		m.Token.ID = m.Token.ID[1:] + xlreg.NodeID(rune('A'+index))
		m.Token.Joined = time.UnixMilli(rapid.Int64Range(1, 1<<41).Draw(t, "joined")).UTC()
		members = append(members, m)
	}
	return members
}

// One flipped bit anywhere, a byte more or less, or another key: never an answer.
func TestDamageIsSeen(t *testing.T) {
	token, seat, cluster := sampleToken(), sampleMember(63), sampleCluster()
	for key, m := range map[string]proto.Message{
		nodeKey(token.ID):               &recordspb.Node{Token: tokenToPB(&token)},
		seatKey(cluster.ID, 63):         seatToPB(&seat),
		clusterKey(cluster.ID):          clusterToPB(&cluster),
		nameKey(cluster.Name):           &recordspb.ClusterName{ClusterId: []byte(cluster.ID)},
		seatByNameKey(cluster.ID, "m0"): &recordspb.SeatRef{},
	} {
		record := must[[]byte](t)(current.encode(key, m))
		refused := func(what, key string, record []byte) {
			t.Helper()
			if err := current.decode(key, record, m.ProtoReflect().New().Interface()); !errors.Is(err, ErrDamaged) {
				t.Errorf("%T, %s: %v", m, what, err)
			}
		}
		for n := range record {
			refused("cut short", key, record[:n])
			for bit := range 8 {
				flipped := slices.Clone(record)
				flipped[n] ^= 1 << bit
				refused("flipped", key, flipped)
			}
		}
		refused("longer", key, append(slices.Clone(record), 0))
		refused("under another key", key+"x", record)
		refused("empty", key, nil)
	}
}

// During an upgrade a store holds records of this version and of the one before.
func TestVersions(t *testing.T) {
	before, now, next := form{1, 1}, form{2, 1}, form{3, 2}
	message := &recordspb.SeatRef{Index: 7}
	for _, c := range []struct {
		writes, reads form
		want          error
	}{
		{before, before, nil},
		{before, now, nil},
		{now, now, nil},
		{now, before, ErrDamaged}, // an older program must not overlook what is new
		{now, next, nil},
		{before, next, ErrDamaged},
	} {
		record := must[[]byte](t)(c.writes.encode("k", message))
		got := new(recordspb.SeatRef)
		if err := c.reads.decode("k", record, got); !errors.Is(err, c.want) || err == nil && got.GetIndex() != 7 {
			t.Errorf("version %d read by a program of version %d: %v, %v", c.writes.written, c.reads.written, got, err)
		}
	}
}

func TestIllFormedIsNotKept(t *testing.T) {
	s := memory.New()
	defer s.Close()
	good, noName, badID := sampleCluster(), sampleCluster(), sampleCluster()
	noName.Name, badID.ID = "", badID.ID[1:]
	for name, put := range map[string]func(Writer) error{
		"node without ID":      func(w Writer) error { return w.PutNode(&xlreg.Token{Name: "n"}, nil) },
		"node with 21 bytes":   func(w Writer) error { return w.PutNode(&xlreg.Token{ID: sampleToken().ID + "x"}, nil) },
		"cluster with bad ID":  func(w Writer) error { return w.AddCluster(&badID.Cluster) },
		"cluster without name": func(w Writer) error { return w.AddCluster(&noName.Cluster) },
		"seat -1":              func(w Writer) error { return w.PutSeat(&good, &xlreg.Member{Index: -1}) },
		"seat 64":              func(w Writer) error { return w.PutSeat(&good, &xlreg.Member{Index: 64}) },
	} {
		if err := s.Update(t.Context(), func(tx store.Writer) error { return put(NewWriter(tx)) }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Peers name what they like, and what cannot exist does not.
func TestIllFormedIsNotFound(t *testing.T) {
	s := memory.New()
	defer s.Close()
	long := strings.Repeat("x", 9000)
	err := s.View(t.Context(), func(tx store.Reader) error {
		r := NewReader(tx)
		for _, name := range []string{"", "x", long[:33], long} {
			_, node := r.Node(xlreg.NodeID(name))
			_, cluster := r.Cluster(xlreg.ClusterID(name))
			_, named := r.ClusterByName(xlreg.Name(name))
			for _, err := range []error{node, cluster, named} {
				if !IsNotFound(err) || len(err.Error()) > 200 {
					t.Errorf("%d bytes: %.200v", len(name), err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Whoever sits down where somebody sat is found, and that one no more.
func TestSeatChangesHands(t *testing.T) {
	s := memory.New()
	defer s.Close()
	c := Cluster{Cluster: sampleCluster().Cluster}
	first, second := sampleMember(4), sampleMember(4)
	second.Token.ID, second.Token.Name = xlreg.NodeID(strings.Repeat("\x33", 32)), "m1"
	err := s.Update(t.Context(), func(tx store.Writer) error {
		w := NewWriter(tx)
		return errors.Join(w.AddCluster(&c.Cluster), w.PutSeat(&c, &first), w.PutSeat(&c, &second))
	})
	if err != nil {
		t.Fatal(err)
	}
	find := func(r Reader, m xlreg.Member) (byID, byName error) {
		_, byID = r.SeatOf(c.ID, m.Token.ID)
		_, byName = r.SeatNamed(c.ID, m.Token.Name)
		return byID, byName
	}
	look := func(wantFirst, wantSecond error) {
		t.Helper()
		err := s.View(t.Context(), func(tx store.Reader) error {
			for m, want := range map[*xlreg.Member]error{&first: wantFirst, &second: wantSecond} {
				if byID, byName := find(NewReader(tx), *m); !errors.Is(byID, want) || !errors.Is(byName, want) {
					t.Errorf("%s is found with %v and %v, want %v", m.Token.Name, byID, byName, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	look(store.ErrNotFound, nil)
	if err := s.Update(t.Context(), func(tx store.Writer) error { return NewWriter(tx).DeleteSeat(&c, 4) }); err != nil {
		t.Fatal(err)
	}
	look(store.ErrNotFound, store.ErrNotFound)
	if c.Taken != 0 || c.Revision != 3 {
		t.Errorf("in the end seats %b, revision %d", c.Taken, c.Revision)
	}
}

func TestChangedCluster(t *testing.T) {
	c := sampleCluster()
	record := must[[]byte](t)(current.encode(clusterKey(c.ID), clusterToPB(&c)))
	got, ok, err := ChangedCluster(store.Change{Key: clusterKey(c.ID), Value: record})
	if err != nil || !ok || got != c {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	for name, change := range map[string]store.Change{
		"zero":    {},
		"a seat":  {Key: seatKey(c.ID, 0), Value: record},
		"deleted": {Key: clusterKey(c.ID)},
	} {
		if _, ok, err := ChangedCluster(change); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if _, ok, err := ChangedCluster(store.Change{Key: clusterKey(c.ID), Value: record[1:]}); ok || !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged: %v, %v", ok, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil))
	token := sampleToken()
	payload, err := proto.Marshal(&recordspb.Node{Token: tokenToPB(&token)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Fuzz(func(t *testing.T, payload []byte) {
		for key, m := range map[string]proto.Message{
			"n": new(recordspb.Node), "c": new(recordspb.Cluster), "s": new(recordspb.Seat),
		} {
			record := append(make([]byte, headerLen), payload...)
			record[0] = current.written
			sum := checksum(key, record)
			record[1], record[2], record[3], record[4] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
			err := current.decode(key, record, m)
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%T: %v", m, err)
			}
			if c, ok := m.(*recordspb.Cluster); ok && err == nil {
				_, err = clusterFromPB(c)
			}
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%T: %v", m, err)
			}
		}
	})
}

// The generated code is what the pinned generator makes of records.proto.
func TestGeneratedCodeIsFresh(t *testing.T) {
	// Go keeps the result of a test until a file that the test itself has read
	// changes, so the generator's reading is not enough.
	for _, path := range []string{"records.proto", "recordspb/records.pb.go", "../../tools/go.mod", "../../tools/genproto/main.go"} {
		must[[]byte](t)(os.ReadFile(path))
	}
	check := exec.Command("go", "run", "-C", "../../tools", "./genproto", "-check", "../internal/records/records.proto", "../internal/records/recordspb/records.pb.go")
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
