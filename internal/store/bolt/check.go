package bolt

import (
	"fmt"
	"io"
	"os"

	"github.com/xlattice/xlreg/internal/store/bolt/boltfile"
)

// Check goes through the file at path, which nobody may be writing to; see CheckReader.
func Check(path string, visit func(key string, value []byte) error) error {
	if err := regular(path); err != nil {
		return fmt.Errorf("check %q: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := CheckReader(f, info.Size(), visit); err != nil {
		return fmt.Errorf("check %q: %w", path, err)
	}
	return nil
}

// regular refuses what is no file, such as a pipe, which would be waited for when it is
// opened.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return ErrForeign
	}
	return err
}

// CheckReader goes through all pages of a file of this size and returns ErrDamaged if
// it is not as this program left it. It calls visit for each key, in their order,
// which may happen before damage further on is found, and returns visit's error as it
// is. The value is valid until visit returns.
func CheckReader(r io.ReaderAt, size int64, visit func(key string, value []byte) error) error {
	head, err := boltfile.ReadHead(r, size)
	if err != nil {
		return err
	}
	ours := false
	err = verify(func(v visitor) error {
		return head.Verify(r, func(bucket string, key, value []byte) error {
			switch {
			case bucket == metaBucket && string(key) == schemaKey:
				if err := checkVersion(value); err != nil {
					return err
				}
				ours = true
			case bucket == valueBucket:
				if err := visit(string(key), value); err != nil {
					return err
				}
			}
			return v(bucket, key, value)
		})
	})
	if err == nil && !ours {
		err = ErrForeign
	}
	return err
}
