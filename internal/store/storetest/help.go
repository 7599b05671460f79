package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// rawID returns an ID that no other n has, long if n is odd.
func rawID(kind string, n int) string {
	length := xlreg.ShortIDLen
	if n%2 == 1 {
		length = xlreg.LongIDLen
	}
	id := fmt.Sprintf("%s-%d-", kind, n)
	return id + strings.Repeat("\x00", length-len(id))
}

func nodeID(n int) xlreg.NodeID { return xlreg.NodeID(rawID("n", n)) }

func clusterID(n int) xlreg.ClusterID { return xlreg.ClusterID(rawID("c", n)) }

func clusterName(n int) xlreg.Name { return xlreg.Name(fmt.Sprintf("cluster%d", n)) }

// node returns a token with something in every field that is kept.
func node(n int) xlreg.Token {
	return xlreg.Token{
		Name:        xlreg.Name(fmt.Sprintf("node%d", n)),
		Attrs:       xlreg.AttrSolo | 1<<63,
		ID:          nodeID(n),
		CommsKey:    xlreg.CommsKey(strings.Repeat("k", 294)),
		SigKey:      xlreg.SigKey(fmt.Sprintf("sig key %d", n)),
		Endpoints:   []xlreg.Endpoint{"127.0.0.1:80", xlreg.Endpoint(fmt.Sprintf("host%d.example:443", n))},
		DigSig2:     []byte{1, 2, byte(n)},
		Certificate: []byte{3, 4, byte(n)},
		Joined:      time.UnixMilli(1700000000000 + int64(n)).UTC(),
	}
}

func cluster(n int) store.Cluster {
	return store.Cluster{
		Cluster: xlreg.Cluster{
			ID:            clusterID(n),
			Name:          clusterName(n),
			Attrs:         xlreg.ClusterUnique | 1<<63,
			MaxSize:       xlreg.MaxClusterSize,
			EndpointCount: 2,
		},
		Revision: uint64(n),
	}
}

func seat(index, n int) xlreg.Member { return xlreg.Member{Index: index, Token: node(n)} }

func update(t testing.TB, s store.Store, f func(store.Writer) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func view(t testing.TB, s store.Store, f func(store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), f); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// putAll returns a closure that makes all these calls.
func putAll(calls ...func(store.Writer) error) func(store.Writer) error {
	return func(w store.Writer) error {
		for _, call := range calls {
			if err := call(w); err != nil {
				return err
			}
		}
		return nil
	}
}

func putNode(t xlreg.Token) func(store.Writer) error {
	return func(w store.Writer) error { return w.PutNode(t) }
}

func putCluster(c store.Cluster) func(store.Writer) error {
	return func(w store.Writer) error { return w.PutCluster(c) }
}

func putSeat(id xlreg.ClusterID, m xlreg.Member) func(store.Writer) error {
	return func(w store.Writer) error { return w.PutSeat(id, m) }
}

func deleteSeat(id xlreg.ClusterID, index int) func(store.Writer) error {
	return func(w store.Writer) error { return w.DeleteSeat(id, index) }
}

// The want functions return an error unless the reader says what is wanted, so
// that they serve inside of closures too.

func wantNode(r store.Reader, want xlreg.Token) error {
	got, err := r.Node(want.ID)
	return differ("node", got, err, want)
}

func wantNoNode(r store.Reader, id xlreg.NodeID) error {
	_, err := r.Node(id)
	return missing("node", err)
}

func wantCluster(r store.Reader, want store.Cluster) error {
	byID, idErr := r.Cluster(want.ID)
	byName, nameErr := r.ClusterByName(want.Name)
	return errors.Join(differ("cluster", byID, idErr, want), differ("cluster by name", byName, nameErr, want))
}

func wantNoCluster(r store.Reader, c xlreg.Cluster) error {
	_, idErr := r.Cluster(c.ID)
	_, nameErr := r.ClusterByName(c.Name)
	return errors.Join(missing("cluster", idErr), missing("cluster by name", nameErr))
}

func wantSeats(r store.Reader, id xlreg.ClusterID, want ...xlreg.Member) error {
	got, err := r.Seats(id)
	if err == nil && len(got) == 0 && len(want) == 0 {
		return nil
	}
	return differ("seats", got, err, want)
}

func differ(what string, got any, err error, want any) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %+v, want %+v", what, got, want)
	}
	return nil
}

func missing(what string, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%s: error %v, want %v", what, err, store.ErrNotFound)
	}
	return nil
}

func mustClose(t testing.TB, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// receive waits for a value, and fails the test if none comes.
func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case v := <-from:
		return v
	case <-ctx.Done():
		t.Fatalf("no %s after %v", what, patience)
	}
	panic("not reached")
}
