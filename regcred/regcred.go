// Package regcred reads and writes the credentials of a registry: who it is, which
// keys it has and where to find it. They travel as a file, regCred.dat, that
// deployed clients read too, or as one line for people that starts with xlreg://.
package regcred

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
)

// maxLen is how many bytes of credentials are looked at. Two keys of the largest
// size and sixteen endpoints need a tenth of that.
const maxLen = 64 << 10

// filePerm lets everyone read: there is nothing secret in credentials.
const filePerm = 0o644

// Cred are the credentials of a registry.
type Cred struct {
	Name      xlreg.Name
	ID        xlreg.NodeID
	CommsKey  xlreg.CommsKey
	SigKey    xlreg.SigKey
	Endpoints []xlreg.Endpoint // at least one
	Version   xlreg.Version
}

// Target is what a client needs to find a registry and to tell it from others.
type Target struct {
	Endpoints   []xlreg.Endpoint
	Fingerprint string // of the registry's sig key
	Cred        *Cred  // nil if only a URL was given
}

// Protocol returns the protocol to speak with the registry, and true, if its
// version says that it speaks 2.0. Otherwise it is an original server: then the
// result is the one classic generation that it most likely speaks, and false, as
// the choice of a classic carrier is the user's alone.
func (c *Cred) Protocol() (xlreg.Protocol, bool) {
	if c.Version.Major() >= 2 {
		return xlreg.Protocol20, true
	}
	patch := int(byte(c.Version >> 16))
	older := c.Version.Major() == 0 || c.Version.Minor() < 9 || c.Version.Minor() == 9 && patch < 5
	if older {
		return xlreg.Protocol18, false
	}
	return xlreg.Protocol19, false
}

// Fingerprint returns the fingerprint of the registry's sig key.
func (c *Cred) Fingerprint() (string, error) { return identity.Fingerprint(c.SigKey) }

// Target returns how to find and tell the registry.
func (c *Cred) Target() (*Target, error) {
	fingerprint, err := c.Fingerprint()
	if err != nil {
		return nil, err
	}
	return &Target{Endpoints: c.Endpoints, Fingerprint: fingerprint, Cred: c}, nil
}

// URL returns the one line for people.
func (c *Cred) URL() (string, error) {
	if err := c.validate(); err != nil {
		return "", fmt.Errorf("registry url: %w", err)
	}
	t, err := c.Target()
	if err != nil {
		return "", fmt.Errorf("registry url: %w", err)
	}
	return t.URL()
}

// Read reads the credentials in a file.
func Read(path string) (*Cred, error) {
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

// Write replaces a file with the credentials, at once and whole.
func (c *Cred) Write(path string) error {
	data, err := c.Marshal()
	if err != nil {
		return fmt.Errorf("write registry credentials: %w", err)
	}
	if err := atomicfile.Write(path, data, filePerm); err != nil {
		return fmt.Errorf("write registry credentials: %w", err)
	}
	return nil
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
	return c.Target()
}

// validate checks everything but the keys.
func (c *Cred) validate() error {
	if err := c.Name.Validate(); err != nil {
		return err
	}
	if _, err := xlreg.NodeIDFromBytes([]byte(c.ID)); err != nil {
		return err
	}
	return validateEndpoints(c.Endpoints)
}

func validateEndpoints(endpoints []xlreg.Endpoint) error {
	if len(endpoints) == 0 {
		return errors.New("no endpoint")
	}
	if len(endpoints) > xlreg.MaxEndpoints {
		return fmt.Errorf("%d endpoints, at most %d allowed", len(endpoints), xlreg.MaxEndpoints)
	}
	for _, e := range endpoints {
		if err := e.Validate(); err != nil {
			return err
		}
	}
	return nil
}
