package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

// A copy made while others write is one state: a and b are always put together.
func TestBackup(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(i int) error {
		return s.Update(context.Background(), func(w store.Writer) error {
			value := bytes.Repeat([]byte(strconv.Itoa(i)+" "), 500)
			return errors.Join(w.Put("a", value), w.Put("b", value), w.Put(fmt.Sprint("k", i), value))
		})
	}
	if err := put(0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			if err := put(i); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writing.Wait()
	defer cancel()
	for range 20 {
		var copied bytes.Buffer
		var promised int64
		err := s.Backup(t.Context(), func(size int64) io.Writer {
			promised = size
			return &copied
		})
		if err != nil || int64(copied.Len()) != promised {
			t.Fatalf("%d bytes of %d, %v", copied.Len(), promised, err)
		}
		values := make(map[string]string)
		err = CheckReader(bytes.NewReader(copied.Bytes()), promised, func(key string, value []byte) error {
			values[key] = string(value)
			return nil
		})
		if err != nil || values["a"] == "" || values["a"] != values["b"] {
			t.Fatalf("%v; a is %.10q, b is %.10q", err, values["a"], values["b"])
		}
	}
}

func TestBackupEnds(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := func(int64) io.Writer { return io.Discard }
	if err := s.Backup(ctx, to); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), to); !errors.Is(err, store.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
