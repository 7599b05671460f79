package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
)

// sample returns a file with several levels of pages, free ones among them, and
// what is in it.
func sample(t testing.TB) (file []byte, items map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	items = make(map[string]string)
	put := func(first, n int) {
		err := db.Update(func(tx *bbolt.Tx) error {
			for _, name := range []string{"meta", "values"} {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			for i := first; i < first+n; i++ {
				key, value := fmt.Sprintf("key %04d", i*7919%1000), bytes.Repeat([]byte{byte(i)}, 1+i%9*100)
				items[key] = string(value)
				if err := tx.Bucket([]byte("values")).Put([]byte(key), value); err != nil {
					return err
				}
			}
			items["schema"] = "2"
			return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("2"))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(0, 400)
	put(300, 100)
	put(400, 9)
	items["large"] = string(make([]byte, 20_000))
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("values")).Put([]byte("large"), make([]byte, 20_000))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, err := ReadHead(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return file[:head.Size()], items // less what bbolt has in reserve
}

func read(file []byte) (map[string]string, error) {
	r := bytes.NewReader(file)
	h, err := ReadHead(r, int64(len(file)))
	if err != nil {
		return nil, err
	}
	items := make(map[string]string)
	err = h.Verify(r, func(_ string, key, value []byte) error {
		items[string(key)] = string(value)
		return nil
	})
	return items, err
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func TestVerifySound(t *testing.T) {
	file, want := sample(t)
	got, err := read(file)
	if err != nil || !same(got, want) {
		t.Errorf("%d items, %v, want %d", len(got), err, len(want))
	}
	h, err := ReadHead(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(string, []byte, []byte) error { return nil }
	if err := h.VerifyTx(bytes.NewReader(file), h.Tx(), nothing); err != nil {
		t.Errorf("the newest transaction: %v", err)
	}
	if err := h.VerifyTx(bytes.NewReader(file), h.Tx()+9, nothing); !errors.Is(err, ErrNoState) {
		t.Errorf("a transaction to come: %v", err)
	}
	stop := errors.New("enough")
	if err := h.Verify(bytes.NewReader(file), func(string, []byte, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the visitor's error came back as %v", err)
	}
}

func TestCutShort(t *testing.T) {
	file, _ := sample(t)
	for n := 0; n < len(file); n += 509 {
		if _, err := read(file[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(file), err)
		}
	}
}

// With one bit flipped anywhere a file is damaged, or what it says is what it said
// but for the value, or the key, that the bit is in: that is for those who know
// what a value means.
func TestFlippedBits(t *testing.T) {
	file, want := sample(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 2000 {
		at := rnd.IntN(len(file))
		damaged := slices.Clone(file)
		damaged[at] ^= 1 << rnd.IntN(8)
		got, err := read(damaged)
		switch {
		case errors.Is(err, ErrDamaged):
			refused++
		case err != nil:
			t.Errorf("bit at %d: %v", at, err)
		case differ(got, want) > 2:
			t.Errorf("bit at %d: %d items differ", at, differ(got, want))
		}
	}
	if refused < 30 {
		t.Errorf("%d of 2000 were refused", refused)
	}
}

// differ returns how many items are in one of two and not the other.
func differ(a, b map[string]string) int {
	n := 0
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			n++
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			n++
		}
	}
	return n
}

// A page full of anything is no reason to panic or to read without end.
func TestGarbage(t *testing.T) {
	file, _ := sample(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		damaged := slices.Clone(file)
		at := 2*4096 + rnd.IntN(len(file)-3*4096)
		for i := range 1 + rnd.IntN(4096) {
			damaged[at+i] = byte(rnd.Uint32())
		}
		if _, err := read(damaged); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("from %d on: %v", at, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	file, _ := sample(f)
	f.Add(100, []byte{1, 2, 3})
	f.Add(2*4096, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, at int, change []byte) {
		damaged := slices.Clone(file)
		if at < 0 || at >= len(damaged) {
			return
		}
		copy(damaged[at:], change)
		if _, err := read(damaged); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%v", err)
		}
	})
}
