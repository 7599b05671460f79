package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Drivers' tests look at what a Buffer reads; these look at what it hands on.

// script is a Sink that writes down its calls, and fails at the last allowed.
type script struct {
	calls   []string
	allowed int
}

var errScript = errors.New("script is over")

func (s *script) call(format string, args ...any) error {
	if len(s.calls) == s.allowed {
		return errScript
	}
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
	return nil
}

func (s *script) PutNode(t xlreg.Token) error      { return s.call("node %c %s", t.ID[0], t.Name) }
func (s *script) PutCluster(c store.Cluster) error { return s.call("cluster %c %s", c.ID[0], c.Name) }
func (s *script) PutSeat(id xlreg.ClusterID, m xlreg.Member) error {
	return s.call("seat %c %d %s", id[0], m.Index, m.Token.DigSig)
}
func (s *script) DeleteSeat(id xlreg.ClusterID, i int) error { return s.call("free %c %d", id[0], i) }

// nothing is a Reader that must not be asked.
type nothing struct{ store.Reader }

func id(c string) string { return strings.Repeat(c, xlreg.ShortIDLen) }

func filled(t *testing.T) *store.Buffer {
	t.Helper()
	b := store.NewBuffer(nothing{})
	if !b.Empty() || b.Changed() != nil {
		t.Error("a new Buffer is not empty")
	}
	err := errors.Join(
		b.PutSeat(xlreg.ClusterID(id("b")), xlreg.Member{Index: 3, Token: xlreg.Token{DigSig: []byte("x")}}),
		b.PutNode(xlreg.Token{ID: xlreg.NodeID(id("n")), Name: "one"}),
		b.PutNode(xlreg.Token{ID: xlreg.NodeID(id("n")), Name: "two"}),
		b.PutCluster(store.Cluster{Cluster: xlreg.Cluster{ID: xlreg.ClusterID(id("c")), Name: "c"}}),
		b.DeleteSeat(xlreg.ClusterID(id("a")), 63),
		b.DeleteSeat(xlreg.ClusterID(id("b")), 3),
	)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBufferFlush(t *testing.T) {
	b := filled(t)
	sink := &script{allowed: 10}
	if err := b.Flush(sink); err != nil {
		t.Fatal(err)
	}
	want := []string{"seat b 3 ", "node n one", "node n two", "cluster c c", "free a 63", "free b 3"}
	if !slices.Equal(sink.calls, want) {
		t.Errorf("calls %q, want %q", sink.calls, want)
	}
	if err := b.Flush(&script{allowed: 2}); !errors.Is(err, errScript) {
		t.Errorf("Flush returned %v", err)
	}
}

func TestBufferChanged(t *testing.T) {
	b := filled(t)
	want := []xlreg.ClusterID{xlreg.ClusterID(id("b")), xlreg.ClusterID(id("a"))}
	if got := b.Changed(); b.Empty() || !slices.Equal(got, want) {
		t.Errorf("changed %v, want %v", got, want)
	}
}

func TestWithSeat(t *testing.T) {
	var seats []xlreg.Member
	for _, index := range []int{5, 0, 63, 5, 7} {
		before := slices.Clone(seats)
		grown := store.WithSeat(seats, xlreg.Member{Index: index, Token: xlreg.Token{Attrs: 1}})
		if !equalSeats(seats, before) {
			t.Fatalf("adding %d changed the slice given", index)
		}
		seats = grown
	}
	if !equalIndexes(seats, 0, 5, 7, 63) {
		t.Errorf("seats %+v", seats)
	}
	before := slices.Clone(seats)
	fewer := store.WithoutSeat(store.WithoutSeat(seats, 5), 6)
	if !equalSeats(seats, before) || !equalIndexes(fewer, 0, 7, 63) {
		t.Errorf("less 5: %+v, of %+v", fewer, seats)
	}
}

func equalSeats(a, b []xlreg.Member) bool {
	return slices.EqualFunc(a, b, func(a, b xlreg.Member) bool {
		return a.Index == b.Index && a.Token.Attrs == b.Token.Attrs
	})
}

func equalIndexes(seats []xlreg.Member, indexes ...int) bool {
	return slices.EqualFunc(seats, indexes, func(m xlreg.Member, i int) bool { return m.Index == i })
}
