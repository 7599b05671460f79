package main

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// maxAdmitFile bounds a file with admitted keys, in bytes: half a million fingerprints.
const maxAdmitFile = 32 << 20

// admitted are the keys of the nodes that may register. It can be changed while it is in
// use.
type admitted struct {
	list atomic.Pointer[map[string]bool] // by fingerprint; nil: everybody
}

// admit reads whose keys are admitted, before the registry opens.
func (cfg *serveConfig) admit() error {
	cfg.admitted = new(admitted)
	n, _, err := cfg.admitted.read(cfg.admitFile)
	if err == nil && cfg.admitFile != "" {
		cfg.log.Info("only nodes with these keys may register", "file", cfg.admitFile, "keys", n)
	}
	return err
}

// admits reports whether a node with this key may register.
func (a *admitted) admits(key xlreg.SigKey) bool {
	list := a.list.Load()
	if list == nil {
		return true
	}
	sum, err := keys.Fingerprint(key)
	return err == nil && (*list)[sum]
}

// read has the keys in a file be admitted, or everybody if path is empty. It returns how
// many there are, and whether that is a change. If the file is damaged the list stays as
// it was.
func (a *admitted) read(path string) (n int, changed bool, err error) {
	before := a.list.Load()
	if path == "" {
		a.list.Store(nil)
		return 0, before != nil, nil
	}
	list, err := readAdmitFile(path)
	if err != nil {
		return 0, false, fmt.Errorf("--admit-file: %w", err)
	}
	a.list.Store(&list)
	return len(list), before == nil || !sameKeys(*before, list), nil
}

func sameKeys(a, b map[string]bool) bool {
	for key := range a {
		if !b[key] {
			return false
		}
	}
	return len(a) == len(b)
}

// readAdmitFile reads fingerprints and public keys in the form of OpenSSH, one a line. An
// empty line, and one that begins with #, says nothing.
func readAdmitFile(path string) (map[string]bool, error) {
	data, err := readBounded(path, maxAdmitFile)
	if err != nil {
		return nil, err
	}
	list := make(map[string]bool)
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		sum, err := admittedKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		list[sum] = true
	}
	return list, nil
}

// admittedKey returns the fingerprint of the key that a line names. Behind a fingerprint
// there may be a comment, as there may be behind a key.
func admittedKey(line string) (string, error) {
	if first, _, _ := strings.Cut(line, " "); strings.HasPrefix(first, "SHA256:") {
		sum, err := keys.ParseFingerprint(first)
		return keys.FormatFingerprint(sum), err
	}
	key, err := keys.ParseSSH(line)
	if err != nil {
		return "", fmt.Errorf("want a fingerprint, SHA256:…, or a public key in the form of OpenSSH: %w", err)
	}
	return keys.Fingerprint(xlreg.SigKey(key.DER()))
}
