package identity

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// Errors about directories of the wrong kind.
var (
	// ErrRegistry says that a directory is that of a registry, whose keys no other
	// node may use.
	ErrRegistry = errors.New("this is the directory of a registry: use another one for a node")
	// ErrNotRegistry says that a directory is that of a node, where a registry's was
	// expected.
	ErrNotRegistry = errors.New("this is the directory of a node: use another one for a registry")
)

var errRegistryKind = fmt.Errorf("a registry's keys are of kind %s", keys.RSA)

// OpenRegistry opens the node of a registry and takes the writer's lock. The
// directory of any other node is ErrNotRegistry.
func OpenRegistry(dir string) (*Node, error) {
	n, err := open(dir, true)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return n, nil
}

// readAs reads the node in dir, which must or must not be a registry's.
func readAs(dir string, registry bool) (*Node, error) {
	n, err := read(dir)
	switch {
	case err != nil:
		return nil, err
	case n.IsRegistry() && !registry:
		return nil, fmt.Errorf("%s: %w", dir, ErrRegistry)
	case registry && !n.IsRegistry():
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRegistry)
	}
	return n, nil
}

// checkRegistry keeps a new registry from keys that its credentials cannot say, and a new
// node from taking the keys of a registry that has lost its node.json. Credentials of
// another registry may lie where they like.
func (n *Node) checkRegistry(o Options) error {
	for _, key := range []keys.Private{n.keys.Comms, n.keys.Sig} {
		if o.Registry && key.Public().Kind() != keys.RSA {
			return errRegistryKind
		}
	}
	cred, err := regcred.Read(filepath.Join(n.dir, credFile))
	if err == nil && cred.SigKey == n.keys.SigKey && !o.Registry {
		return ErrRegistry
	}
	return nil
}

// IsRegistry reports whether the node is a registry's own. One that was made before
// node.json said so is known by the ID that it gave itself.
func (n *Node) IsRegistry() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.record.serving != nil {
		return true
	}
	sig, err := keys.Fingerprint(n.keys.SigKey)
	return err == nil && n.record.index(sig) >= 0
}

// DataFile returns the name of the file in the node's directory that has the
// registry's data, or "" if there has been none so far. If known is false, a program
// was there last that did not keep this, and there may be a file.
func (n *Node) DataFile() (name string, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.record.serving == nil {
		return "", false
	}
	return n.record.serving.data, true
}

// SetDataFile remembers that the registry has data, in the file with this name. Once
// it has returned, a start without that file can be told from the first one.
func (n *Node) SetDataFile(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := new(serving)
	if n.record.serving != nil {
		*s = *n.record.serving
	}
	if n.record.serving != nil && s.data == name {
		return nil
	}
	s.data = name
	next := n.record
	next.serving = s
	err := s.validate()
	if err == nil {
		err = n.save(next)
	}
	if err != nil {
		return fmt.Errorf("set data file: %w", err)
	}
	return nil
}
