// Package regcred reads and writes the credentials of a registry: who it is, which
// keys it has and where to find it. They travel as a file, regCred.dat, that
// deployed clients read too, or as one line for people that starts with xlreg://.
package regcred

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/keys"
)

// maxLen is how many bytes of credentials are looked at. Two keys of the largest
// size and sixteen endpoints need a tenth of that.
const maxLen = 64 << 10

// filePerm lets everyone read: there is nothing secret in credentials.
const filePerm = 0o644

// Target is what a client needs to find a registry and to tell it from others.
type Target struct {
	Endpoints   []xlreg.Endpoint
	Fingerprint string             // of the registry's sig key
	Cred        *xlreg.Credentials // nil if only a URL was given
}

// NewTarget returns how to find the registry with the credentials c, and how to
// tell it from others.
func NewTarget(c *xlreg.Credentials) (*Target, error) {
	fingerprint, err := keys.Fingerprint(c.SigKey)
	if err != nil {
		return nil, err
	}
	return &Target{Endpoints: c.Endpoints, Fingerprint: fingerprint, Cred: c}, nil
}

// URL returns the one line for people that stands for c.
func URL(c *xlreg.Credentials) (string, error) {
	if err := c.Validate(); err != nil {
		return "", fmt.Errorf("registry url: %w", err)
	}
	t, err := NewTarget(c)
	if err != nil {
		return "", fmt.Errorf("registry url: %w", err)
	}
	return t.URL()
}

// Read reads the credentials in a file.
func Read(path string) (*xlreg.Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLen+1))
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %s: %w", path, err)
	}
	return c, nil
}

// Write replaces a file with the credentials c, at once and whole. One that says the
// same already is left as it is, so that a full disk is no obstacle.
func Write(path string, c *xlreg.Credentials) error {
	data, err := Marshal(c)
	if err != nil {
		return fmt.Errorf("write registry credentials: %w", err)
	}
	if holds(path, data) {
		return nil
	}
	if err := atomicfile.Write(path, data, filePerm); err != nil {
		return fmt.Errorf("write registry credentials: %w", err)
	}
	return nil
}

// holds reports whether a file has this content, for everyone to read.
func holds(path string, data []byte) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != filePerm || info.Size() != int64(len(data)) {
		return false
	}
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, data)
}

// Load takes the xlreg:// line of a registry, or the name of a file with its
// credentials.
func Load(fileOrURL string) (*Target, error) {
	if strings.HasPrefix(fileOrURL, urlPrefix) {
		return ParseURL(fileOrURL)
	}
	c, err := Read(fileOrURL)
	if err != nil {
		return nil, err
	}
	return NewTarget(c)
}
