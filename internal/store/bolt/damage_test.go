package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

// made makes a data file with many keys, some of them changed and some removed, and
// returns what is in it and what there is to read.
func made(t testing.TB) (file []byte, values map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	values = make(map[string]string)
	for round := range 8 {
		err := s.Update(context.Background(), func(w store.Writer) error {
			for i := range 90 {
				key := fmt.Sprintf("key %03d", (round*37+i)*7%400)
				if i%10 == 9 {
					delete(values, key)
					if err := w.Delete(key); err != nil {
						return err
					}
					continue
				}
				value := bytes.Repeat([]byte{byte(i), byte(round)}, 1+i*5)
				values[key] = string(value)
				if err := w.Put(key, value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, values
}

// answers opens a file and holds everything it says against what was put. What is
// refused, or answered with an error, is no wrong answer.
func answers(t *testing.T, file []byte, values map[string]string) (refused bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		return true
	}
	defer s.Close()
	err = s.View(t.Context(), func(r store.Reader) error {
		for i := range 400 {
			key := fmt.Sprintf("key %03d", i)
			if i%99 == 98 {
				return nil // as much as one closure may read
			}
			got, err := r.Get(key)
			want, there := values[key]
			if errors.Is(err, store.ErrNotFound) && there || err == nil && string(got) != want {
				t.Errorf("%s is %.20q, %v, want %.20q", key, got, err, want)
			}
		}
		return nil
	})
	return err != nil
}

func TestDamagedFilesGiveNoWrongAnswer(t *testing.T) {
	file, values := made(t)
	if answers(t, file, values) {
		t.Fatal("a sound file was refused")
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	refused := 0
	const tries = 300
	for range tries {
		damaged := slices.Clone(file[:len(file)/2]) // what is behind is in reserve
		damaged = append(damaged, file[len(file)/2:]...)
		at := rnd.IntN(200 << 10)
		switch rnd.IntN(3) {
		case 0:
			damaged[at] ^= 1 << rnd.IntN(8)
		case 1:
			for i := range 16 {
				damaged[at+i] = byte(rnd.Uint32())
			}
		case 2:
			clear(damaged[at/4096*4096:][:4096])
		}
		if answers(t, damaged, values) {
			refused++
		}
	}
	if refused < tries/10 {
		t.Errorf("%d of %d were refused: is anything looked at?", refused, tries)
	}
}

func TestCutShort(t *testing.T) {
	file, _ := made(t)
	path := filepath.Join(t.TempDir(), "db")
	for n := 0; n < 96<<10; n += 1009 {
		if err := os.WriteFile(path, file[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(path, Options{}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v, %v", n, s, err)
		}
	}
}

// A file that is cut short while it is open is an error, for readers and writers.
func TestCutShortWhileOpen(t *testing.T) {
	file, values := made(t)
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(r store.Reader) error {
		for key := range values {
			if _, err := r.Get(key); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("View: %v", err)
	}
	if err := s.Update(t.Context(), func(w store.Writer) error { return w.Put("k", []byte("v")) }); !errors.Is(err, ErrDamaged) {
		t.Errorf("Update: %v", err)
	}
	if err := s.Attend(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("Attend: %v", err)
	}
	_ = s.Close() // how that ends is another matter
}

func TestMovedWhileOpen(t *testing.T) {
	for name, move := range map[string]func(path string) error{
		"removed": os.Remove,
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, make([]byte, 1<<20), 0o600))
		},
		"folder removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "db")
			s, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			put := func() error {
				return s.Update(t.Context(), func(w store.Writer) error { return w.Put("k", []byte("v")) })
			}
			if err := put(); err != nil {
				t.Fatal(err)
			}
			if err := move(path); err != nil {
				t.Fatal(err)
			}
			if err := put(); !errors.Is(err, ErrMoved) {
				t.Errorf("Update: %v", err)
			}
			if err := s.Attend(t.Context()); !errors.Is(err, ErrMoved) {
				t.Errorf("Attend: %v", err)
			}
			err = s.View(t.Context(), func(store.Reader) error { return nil })
			if !errors.Is(err, ErrMoved) {
				t.Errorf("View: %v", err)
			}
		})
	}
}

// Attend notices it where nobody writes.
func TestAttend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Attend(ctx); err != nil {
		t.Errorf("ended: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Attend(t.Context()); !errors.Is(err, ErrMoved) {
		t.Errorf("removed: %v", err)
	}
}

func TestMustExist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if _, err := Open(path, Options{MustExist: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("an empty file: %v", err)
	}
}

// A file that is too large to be gone through at once is gone through later.
func TestVerifyLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 20 {
		err := s.Update(t.Context(), func(w store.Writer) error { return w.Put(fmt.Sprint("k", i), make([]byte, 3000)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.driver.verifyNow(t.Context()); err != nil {
		t.Fatalf("a sound file: %v", err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at := 2 * 4096; at < int(s.driver.file.Size())+100<<10 && at < len(file); at += 4096 {
		if n := bytes.Index(file[at:min(at+4096, len(file))], make([]byte, 2000)); n >= 0 {
			if _, err := f.WriteAt([]byte{1}, int64(at+n+1000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.driver.verifyNow(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("every value damaged: %v", err)
	}
}

func TestCheck(t *testing.T) {
	file, values := made(t)
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	visit := func(key string, value []byte) error {
		found[key] = string(value)
		return nil
	}
	if err := Check(path, visit); err != nil || !maps.Equal(found, values) {
		t.Errorf("%d values, %v, want %d", len(found), err, len(values))
	}
	enough := errors.New("enough")
	if err := Check(path, func(string, []byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("a visit that fails: %v", err)
	}
	if err := os.Truncate(path, 20000); err != nil {
		t.Fatal(err)
	}
	if err := Check(path, visit); !errors.Is(err, ErrDamaged) {
		t.Errorf("cut short: %v", err)
	}
	if err := Check(path+".not", visit); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestLockIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	first, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{Timeout: 20 * time.Millisecond}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
