package testkeys

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/keys"
)

const (
	keyFile    = "TEST-ONLY-%04d.pem"
	readmeFile = "README.txt"
	filePerm   = 0o600
	dirPerm    = 0o700

	maxFileLen = 16 << 10 // bytes; two keys take a fifth of it
)

const readme = `The keys in this directory are for tests, and for nothing else: every test that
this user runs has them. They were made by github.com/xlattice/xlreg (packages
xlregtest, and xlreg run or demo with --test-keys), which keeps them because keys
are slow to make. Do not give them to anything that has to be secure.

The directory may be removed at any time. What is missing is made anew.
`

// note stands above each key, where PEM allows any text.
const note = "TEST KEY, NOT SECRET: the %s key of test node %d; see README.txt.\n"

var errDamaged = errors.New("file of test keys is damaged")

func keyPath(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprintf(keyFile, number))
}

// readKeys reads the keys of a node. A file that others may read, and one that is
// not what writeKeys writes, is of no use.
func readKeys(path string) (*keys.Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm() != filePerm || info.Size() > maxFileLen {
		return nil, errDamaged
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	comms, rest, err := nextKey(data)
	if err != nil {
		return nil, err
	}
	sig, rest, err := nextKey(rest)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || keys.Equal(comms, sig) {
		return nil, errDamaged
	}
	return keys.NewSet(comms, sig)
}

// nextKey reads the first key in data, and returns what follows it.
func nextKey(data []byte) (keys.Private, []byte, error) {
	_, rest := pem.Decode(data)
	key, err := keys.ParsePrivate(data)
	if err != nil {
		return nil, nil, err
	}
	if key.Public().Bits() != keys.DefaultBits {
		return nil, nil, errDamaged
	}
	return key, rest, nil
}

// writeKeys replaces the file of a node's keys.
func writeKeys(path string, number int, set *keys.Set) error {
	var b bytes.Buffer
	for _, k := range []struct {
		use string
		key keys.Private
	}{{"comms", set.Comms}, {"sig", set.Sig}} {
		text, err := keys.EncodePrivate(k.key)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, note, k.use, number)
		b.Write(text)
	}
	return atomicfile.Write(path, b.Bytes(), filePerm)
}

// prepare makes the directory, closes it to others, and says in it what it is.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, dirPerm); err != nil {
		return err
	}
	if err := os.Chmod(dir, dirPerm); err != nil {
		return err
	}
	path := filepath.Join(dir, readmeFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.Write(path, []byte(readme), filePerm)
}
