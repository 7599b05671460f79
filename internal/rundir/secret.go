package rundir

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/xlattice/xlreg/internal/private"
)

// secretBytes is how many a secret has.
const secretBytes = 32

// Secret returns the secret of the runs in this directory, in hex. It is made when it is
// asked for the first time.
func (d *Dir) Secret() (string, error) {
	d.making.Lock()
	defer d.making.Unlock()
	path := d.in(secretName)
	secret, err := ReadSecret(path)
	if !errors.Is(err, os.ErrNotExist) {
		return secret, err
	}
	if secret, err = NewSecret(); err != nil {
		return "", err
	}
	return secret, d.writeFile(path, []byte(secret+"\n"))
}

// NewSecret returns a secret that nobody can guess, in hex.
func NewSecret() (string, error) {
	var b [secretBytes]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// ReadSecret reads a secret from a file that nobody else can read. No error repeats what
// is in the file.
func ReadSecret(path string) (string, error) {
	const most = 2*secretBytes + 2 // the end of the line
	text, err := private.Read(path, most+1)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if b, err := hex.DecodeString(secret); len(text) > most || err != nil || len(b) != secretBytes {
		return "", fmt.Errorf("%s: %w: want %d bytes in hex, as 'openssl rand -hex %d' prints them", path, ErrDamaged, secretBytes, secretBytes)
	}
	return strings.ToLower(secret), nil
}
