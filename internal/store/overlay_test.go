package store_test

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list is a Reader of these pairs, in order, which ends with an error if there is one.
type list struct {
	pairs []string // key, value, key, value
	err   error
}

func (l list) Get(key string) ([]byte, error) {
	for i := 0; i < len(l.pairs); i += 2 {
		if l.pairs[i] == key {
			return []byte(l.pairs[i+1]), nil
		}
	}
	if l.err != nil {
		return nil, l.err
	}
	return nil, store.ErrNotFound
}

func (l list) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		for i := 0; i < len(l.pairs); i += 2 {
			key := l.pairs[i]
			if key == prefix || !strings.HasPrefix(key, prefix) {
				continue
			}
			if !yield(store.Item{Key: key, Value: []byte(l.pairs[i+1])}, nil) {
				return
			}
		}
		if l.err != nil {
			yield(store.Item{}, l.err)
		}
	}
}

// scanned returns the pairs that a scan yields, or so many of them.
func scanned(r store.Reader, prefix string, most int) ([]string, error) {
	var pairs []string
	for item, err := range r.Scan(prefix) {
		if err != nil {
			return pairs, err
		}
		if pairs = append(pairs, item.Key, string(item.Value)); len(pairs) == 2*most {
			break
		}
	}
	return pairs, nil
}

func overlay(t *testing.T, base store.Reader) *store.Overlay {
	t.Helper()
	o := store.NewOverlay(base)
	err := errors.Join(
		o.Put("p3", []byte("new")), o.Put("p1", []byte("new")), o.Delete("p4"), o.Put("p2", []byte("new")),
		o.Delete("p9"), o.Put("p5", []byte("x")), o.Delete("p5"), o.Put("p7", []byte("new")), o.Put("q", []byte("new")),
	)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOverlayMerges(t *testing.T) {
	base := list{pairs: []string{"p", "guard", "p2", "old", "p4", "old", "p6", "old", "p8", "old", "r", "old"}}
	o := overlay(t, base)
	want := []string{"p1", "new", "p2", "new", "p3", "new", "p6", "old", "p7", "new", "p8", "old"}
	for most := range len(want)/2 + 1 {
		got, err := scanned(o, "p", most+1)
		if n := min(2*most+2, len(want)); err != nil || !slices.Equal(got, want[:n]) {
			t.Errorf("the first %d: %q, %v, want %q", most+1, got, err, want[:n])
		}
	}
	for key, want := range map[string]string{"p": "guard", "p2": "new", "p6": "old", "p4": "", "p5": "", "p9": "", "q": "new", "x": ""} {
		got, err := o.Get(key)
		if string(got) != want || (want == "") != errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %q, %v, want %q", key, got, err, want)
		}
	}
}

func TestOverlayPassesErrorsOn(t *testing.T) {
	errDisk := errors.New("disk on fire")
	o := overlay(t, list{pairs: []string{"p2", "old"}, err: errDisk})
	if got, err := scanned(o, "p", 9); !errors.Is(err, errDisk) || !slices.Equal(got, []string{"p1", "new", "p2", "new"}) {
		t.Errorf("scan: %q, %v", got, err)
	}
	if _, err := o.Get("x"); !errors.Is(err, errDisk) {
		t.Errorf("Get: %v", err)
	}
	if _, err := o.Get("p4"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of a deleted key: %v", err)
	}
}

func changed(o *store.Overlay) []string {
	var pairs []string
	for _, c := range o.Changes() {
		value := string(c.Value)
		if c.Value == nil {
			value = "-"
		}
		pairs = append(pairs, c.Key+"="+value)
	}
	return pairs
}

func TestOverlayChanges(t *testing.T) {
	empty := store.NewOverlay(list{})
	if !empty.Empty() || len(empty.Changes()) != 0 {
		t.Error("a new Overlay is not empty")
	}
	o := overlay(t, list{})
	want := []string{"p1=new", "p2=new", "p3=new", "p4=-", "p5=-", "p7=new", "p9=-", "q=new"}
	if got := changed(o); o.Empty() || !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
}

// What lies on top counts, and what lies below is left as it was until it is merged.
func TestOverlayOnOverlay(t *testing.T) {
	below := overlay(t, list{pairs: []string{"p8", "old"}})
	before := changed(below)
	top := store.NewOverlay(below)
	err := errors.Join(top.Put("p4", []byte("top")), top.Delete("p1"), top.Put("p2", []byte("top")), top.Delete("p8"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"p2", "top", "p3", "new", "p4", "top", "p7", "new"}
	if got, err := scanned(top, "p", 9); err != nil || !slices.Equal(got, want) {
		t.Errorf("scan: %q, %v, want %q", got, err, want)
	}
	if got := changed(below); !slices.Equal(got, before) {
		t.Errorf("changes below: %q, want %q", got, before)
	}
	below.Merge(top)
	if got, err := scanned(below, "p", 9); err != nil || !slices.Equal(got, want) {
		t.Errorf("merged: %q, %v, want %q", got, err, want)
	}
}
