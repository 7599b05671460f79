package xlreg

import "errors"

// Credentials are what a registry says of itself: who it is, which keys it has,
// where to find it and what it speaks.
type Credentials struct {
	Name      Name
	ID        NodeID
	CommsKey  CommsKey
	SigKey    SigKey
	Endpoints []Endpoint
	Version   Version
}

// Validate checks what clients need to find and name the registry, an endpoint
// among it. Keys are costly to parse and are for package keys.
func (c *Credentials) Validate() error {
	if err := c.Name.Validate(); err != nil {
		return err
	}
	if _, err := NodeIDFromBytes([]byte(c.ID)); err != nil {
		return err
	}
	if len(c.Endpoints) == 0 {
		return errors.New("no endpoint")
	}
	return ValidateEndpoints(c.Endpoints)
}

// Protocol returns the protocol to speak with the registry, and true, if its
// version says that it speaks 2.0. Otherwise it is an original server: then the
// result is the one classic generation that it most likely speaks, and false, as
// the choice of a classic carrier is the user's alone.
func (c *Credentials) Protocol() (Protocol, bool) {
	if c.Version.Major() >= 2 {
		return Protocol20, true
	}
	patch := int(byte(c.Version >> 16))
	older := c.Version.Major() == 0 || c.Version.Minor() < 9 || c.Version.Minor() == 9 && patch < 5
	if older {
		return Protocol18, false
	}
	return Protocol19, false
}
