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
	"github.com/xlattice/xlreg/keys"
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
		CommsSig:    []byte{0xc5},
		Labels:      []byte{0x1a},
	}
}

func sampleSeat(index int) Seat {
	s := Seat{
		Member: xlreg.Member{Index: index, Token: sampleToken()},
		Epoch:  2, Fresh: true, Past: []xlreg.Run{"r1"}, Revision: 299,
	}
	s.Token.Seat = xlreg.SeatState{
		Joined: time.UnixMilli(1700000000123).UTC(), Admission: []byte{0xad}, Lease: 15 * time.Second, Run: "r2",
	}
	return s
}

func sampleCluster() Cluster {
	return Cluster{
		Cluster: xlreg.Cluster{
			ID:            xlreg.ClusterID(strings.Repeat("\x22", xlreg.ShortIDLen)),
			Name:          "c",
			Key:           xlreg.ClusterKey(strings.Repeat("\x44", xlreg.ClusterKeyLen)),
			Attrs:         xlreg.ClusterUnique,
			MaxSize:       64,
			EndpointCount: 2,
		},
		State: xlreg.ClusterState{Epoch: 2, Revision: 300, Orders: 4},
		Taken: xlreg.SeatsBelow(9), Reserved: xlreg.SeatsOf(63), Lowest: 1, Completed: 1,
		LastOrder: []byte{0x0d}, LastAnswer: xlreg.ClusterState{Epoch: 2, Revision: 298, Orders: 4},
		Kept: 5, Touched: time.Unix(19700*86400, 0).UTC(), Deleted: time.UnixMilli(1700000000456).UTC(),
	}
}

// The records below are on people's disks: they may never change. A new form is a
// new version, beside this one.
const (
	goldenNode = "02a6ee93ac0a4f0a026d30108180808080201a1411111111111111111111111111111111111111112205636f6d6d732a" +
		"0373696732085b3a3a315d3a38303209612e623a36353533353a01d24a02ce005201c55a011a10f49901"
	goldenSeat = "02ada7ba6a083f124f0a026d30108180808080201a1411111111111111111111111111111111111111112205636f6d6d" +
		"732a0373696732085b3a3a315d3a38303209612e623a36353533353a01d24a02ce005201c55a011a18fbd095ffbc3120" +
		"022a01ad3098753a02723242027231480150ab02"
	goldenCluster = "02353cf4b50a14222222222222222222222222222222222222222212016318042040280238ac02422044444444444444" +
		"444444444444444444444444444444444444444444444444444a02ff015208000000000000008058026001680170047a" +
		"010d8001028801aa029001059801f49901a001c8d395ffbc31"
)

// What version 1 wrote: a node, the seat of index 63 that it has, how that is found by
// its ID, and the cluster.
const (
	oldToken = "0a026d30" + "108180808080" + "20" + "1a141111111111111111111111111111111111111111" +
		"2205636f6d6d73" + "2a03736967" + "32085b3a3a315d3a3830" + "3209612e623a3635353335" +
		"3a01d2" + "4202ce00"
	oldNode    = "01" + "090e8894" + "0a49" + oldToken
	oldSeat    = "01" + "b1db304e" + "083f" + "1249" + oldToken + "18fbd095ffbc31"
	oldCluster = "01" + "ce38b8f8" + "0a142222222222222222222222222222222222222222" + "120163" +
		"1804" + "2040" + "2802" + "31ffffffffffffffff" + "38ac02"
)

func TestGolden(t *testing.T) {
	token, seat, cluster := sampleToken(), sampleSeat(63), sampleCluster()
	for _, c := range []struct {
		golden, key string
		message     proto.Message
		empty       proto.Message
	}{
		{goldenNode, nodeKey(token.ID), &recordspb.Node{Token: tokenToPB(&token), SeenDay: 19700}, new(recordspb.Node)},
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
		want := Cluster{Cluster: drawCluster(t), State: xlreg.ClusterState{Epoch: 1}}
		want.Created = fromMillis(rapid.Int64Range(0, 1<<41).Draw(t, "created")) // 0: unknown
		node := Node{Token: drawToken(t), Seen: time.Unix(86400*rapid.Int64Range(1, 30000).Draw(t, "day"), 0).UTC()}
		node.Token.DigSig = []byte("never kept")
		seats := drawSeats(t, want.MaxSize)
		err := s.Update(t.Context(), func(tx store.Writer) error {
			w := NewWriter(tx)
			want.Taken, want.Reserved = xlreg.Seats{}, xlreg.Seats{}
			err := errors.Join(w.PutNode(&node), w.AddCluster(&want))
			for i := range seats {
				err = errors.Join(err, w.PutSeat(&want, &seats[i]))
			}
			return errors.Join(err, w.PutCluster(&want))
		})
		if err != nil {
			t.Fatal(err)
		}
		node.Token.DigSig = nil
		err = s.View(t.Context(), func(tx store.Reader) error {
			compareAll(t, NewReader(tx), &want, &node, seats)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func compareAll(t *rapid.T, r Reader, want *Cluster, node *Node, seats []Seat) {
	byID, idErr := r.Cluster(want.ID)
	byName, nameErr := r.ClusterByName(want.Name, want.Key)
	if idErr != nil || nameErr != nil || !reflect.DeepEqual(byID, byName) || !reflect.DeepEqual(byID, *want) {
		t.Errorf("cluster %+v, %v; by name %+v, %v; want %+v", byID, idErr, byName, nameErr, want)
	}
	if got, err := r.Node(node.Token.ID); err != nil || !reflect.DeepEqual(got, *node) {
		t.Errorf("node %+v, %v, want %+v", got, err, node)
	}
	members, err := r.Members(want)
	if err != nil || len(members) != want.Taken.Len() {
		t.Errorf("%d members, %v, want those of %v", len(members), err, want.Taken)
	}
	for i := range seats {
		s := &seats[i]
		got, err := r.SeatAt(want, s.Index)
		named, nameErr := r.SeatNamed(want, s.Token.Name)
		if err != nil || nameErr != nil || !reflect.DeepEqual(got, *s) || !reflect.DeepEqual(named, *s) {
			t.Errorf("seat %+v, %v, by name %+v, %v, want %+v", got, err, named, nameErr, s)
		}
		of, _, err := r.SeatsOfKey(want, keys.KeySum(s.Token.SigKey))
		if err != nil || !slices.ContainsFunc(of, func(o Seat) bool { return o.Index == s.Index }) {
			t.Errorf("seat %d is not found by its key: %v, %v", s.Index, of, err)
		}
		if (s.Epoch == 1) != want.Taken.Has(s.Index) {
			t.Errorf("seat %d of epoch %d, and taken are %v", s.Index, s.Epoch, want.Taken)
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
		token.CommsSig, token.Labels = some.Draw(t, "comms signature"), some.Draw(t, "labels")
	}
	for range rapid.IntRange(0, 3).Draw(t, "endpoints") {
		token.Endpoints = append(token.Endpoints, "a.example:1")
	}
	return token
}

func drawCluster(t *rapid.T) xlreg.Cluster {
	var key xlreg.ClusterKey
	if rapid.Bool().Draw(t, "keyed") {
		key = xlreg.ClusterKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
	}
	return xlreg.Cluster{
		ID: xlreg.ClusterID(drawID(t)), Key: key, Name: xlreg.Name(rapid.StringMatching(`[a-z][a-z0-9]{0,9}`).Draw(t, "cluster")),
		Attrs: xlreg.ClusterAttrs(rapid.Uint64().Draw(t, "attrs")), MaxSize: rapid.IntRange(2, 1024).Draw(t, "size"), EndpointCount: 2,
	}
}

// drawSeats returns seats of different names, in the order of their indexes.
func drawSeats(t *rapid.T, size int) []Seat {
	var seats []Seat
	for index := range rapid.IntRange(0, min(size, 5)).Draw(t, "seats") {
		s := Seat{Member: xlreg.Member{Index: index * (size / 5), Token: drawToken(t)}, Epoch: rapid.Uint64Range(1, 2).Draw(t, "epoch")}
		s.Token.Name += xlreg.Name(rune('A' + index))
		s.Token.Seat.Joined = time.UnixMilli(rapid.Int64Range(1, 1<<41).Draw(t, "joined")).UTC()
		if len(seats) == 0 || seats[len(seats)-1].Index < s.Index {
			seats = append(seats, s)
		}
	}
	return seats
}

// One flipped bit anywhere, a byte more or less, or another key: never an answer.
func TestDamageIsSeen(t *testing.T) {
	token, seat, cluster := sampleToken(), sampleSeat(63), sampleCluster()
	for key, m := range map[string]proto.Message{
		nodeKey(token.ID):                  &recordspb.Node{Token: tokenToPB(&token)},
		seatKey(cluster.ID, 63):            seatToPB(&seat),
		clusterKey(cluster.ID):             clusterToPB(&cluster),
		nameKey(cluster.Name, cluster.Key): &recordspb.ClusterName{ClusterId: []byte(cluster.ID)},
		seatByNameKey(cluster.ID, "m0"):    &recordspb.SeatRef{},
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
		"node without ID":      func(w Writer) error { return w.PutNode(&Node{Token: xlreg.Token{Name: "n"}}) },
		"node with 21 bytes":   func(w Writer) error { return w.PutNode(&Node{Token: xlreg.Token{ID: sampleToken().ID + "x"}}) },
		"cluster with bad ID":  func(w Writer) error { return w.AddCluster(&badID) },
		"cluster without name": func(w Writer) error { return w.AddCluster(&noName) },
		"seat -1":              func(w Writer) error { return w.PutSeat(&good, &Seat{Member: xlreg.Member{Index: -1}}) },
		"seat 1024":            func(w Writer) error { return w.PutSeat(&good, &Seat{Member: xlreg.Member{Index: 1024}}) },
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
			_, named := r.ClusterByName(xlreg.Name(name), "")
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
	c := sampleCluster()
	c.Taken, c.Reserved, c.Deleted = xlreg.Seats{}, xlreg.Seats{}, time.Time{}
	first, second := sampleSeat(4), sampleSeat(4)
	second.Token.SigKey, second.Token.Name = "another", "m1"
	update := func(f func(Writer) error) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx store.Writer) error { return f(NewWriter(tx)) }); err != nil {
			t.Fatal(err)
		}
	}
	look := func(seat *Seat, seats int, left xlreg.Seats) {
		t.Helper()
		err := s.View(t.Context(), func(tx store.Reader) error {
			r := NewReader(tx)
			_, byName := r.SeatNamed(&c, seat.Token.Name)
			of, was, err := r.SeatsOfKey(&c, keys.KeySum(seat.Token.SigKey))
			if err != nil || len(of) != seats || was != left || (byName == nil) != (seats > 0) {
				t.Errorf("%s: by name %v, by key %d seats and %v left, %v; want %d and %v", seat.Token.Name, byName, len(of), was, err, seats, left)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	update(func(w Writer) error {
		return errors.Join(w.AddCluster(&c), w.PutSeat(&c, &first), w.PutSeat(&c, &second))
	})
	look(&first, 0, xlreg.Seats{})
	look(&second, 1, xlreg.Seats{})
	update(func(w Writer) error { return w.VacateSeats(&c, []Seat{second}) })
	look(&second, 0, xlreg.SeatsOf(4)) // its key is known again
	update(func(w Writer) error { return w.PutSeat(&c, &first) })
	look(&first, 1, xlreg.Seats{})
	look(&second, 0, xlreg.Seats{})
	c.Lowest = 3 // as when the cluster is opened anew
	look(&first, 0, xlreg.SeatsOf(4))
	second.Epoch, second.Index, second.Token.Name = 3, 5, first.Token.Name
	update(func(w Writer) error { return w.PutSeat(&c, &second) })
	third := sampleSeat(4)
	third.Epoch, third.Token.Name, third.Token.SigKey = 3, "m3", "third"
	update(func(w Writer) error { return w.PutSeat(&c, &third) }) // which ends the trace of the first
	look(&second, 1, xlreg.Seats{})
	look(&third, 1, xlreg.Seats{})
}

func TestChangedCluster(t *testing.T) {
	c := sampleCluster()
	record := must[[]byte](t)(current.encode(clusterKey(c.ID), clusterToPB(&c)))
	got, ok, err := ChangedCluster(store.Change{Key: clusterKey(c.ID), Value: record})
	if err != nil || !ok || !reflect.DeepEqual(got, c) {
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
