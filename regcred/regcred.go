// Package regcred reads and writes the credentials of a registry: who it is, which
// keys it has and where to find it. They travel as a file, regCred.dat, that
// deployed clients read too, or as one line for people that starts with xlreg://.
package regcred

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// Target returns t. With it *Target and *ticket.Ticket have one method in common, and
// package client takes either.
func (t *Target) Target() *Target { return t }

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
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parseFile(path, data)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLen+1))
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	return data, nil
}

func parseFile(path string, data []byte) (*xlreg.Credentials, error) {
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

// Load takes the xlreg:// line of a registry, or the name of a file with that line or
// with the registry's credentials. Either may have been through an editor: blanks, quotes
// and line ends around and inside a line, and a byte order mark, are of no account.
func Load(fileOrURL string) (*Target, error) {
	if url, ok := Line(fileOrURL); ok {
		return ParseURL(url)
	}
	if looksLikeLine(fileOrURL) {
		return nil, fmt.Errorf("read registry credentials: neither a file nor a line that begins with %s", urlPrefix)
	}
	path := fileOrURL
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && unquoted(path) != path {
		path = unquoted(path)
		data, err = readFile(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, explainAddress(path, err)
	}
	if err != nil {
		return nil, err
	}
	if url, ok := Line(string(data)); ok {
		t, err := ParseURL(url)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return t, nil
	}
	c, err := parseFile(path, data)
	if err != nil {
		return nil, err
	}
	return NewTarget(c)
}

// looksLikeLine reports whether s is a line that was damaged on its way. It is not taken
// for the name of a file, which an error would show: the end of a ticket is secret.
func looksLikeLine(s string) bool {
	for _, part := range []string{urlPrefix, urlSig + "=", urlCluster + "="} {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// explainAddress adds to the error of a file that does not exist what to do with an
// address: it says where a registry is, but not how to tell it from another.
func explainAddress(s string, err error) error {
	e, notEndpoint := xlreg.ParseEndpoint(s)
	if notEndpoint != nil {
		return err
	}
	return fmt.Errorf("%s says where the registry is, but not how to know it: get its credentials with 'xlreg cred fetch %s --out regCred.dat', and name that file", e, e)
}
