package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
)

// nameNode gives a new node a name if it has none: this machine's, and where that alone
// might be another node's too, some digits of the node's key after it. The folder says
// nothing: the same recipe on three machines has three nodes in the same folder.
func nameNode(dir string, o *identity.Options, onlyHere bool) error {
	if o.Name != "" {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	name, telling := hostName(host)
	if telling && onlyHere {
		o.Name = name
		return nil
	}
	key, err := newNodeKey(dir, o)
	if err != nil {
		return err
	}
	digits, err := keyDigits(key)
	o.Name = name + "-" + xlreg.Name(digits)
	return err
}

// hostName makes a name of a host's, and reports whether it tells the machine apart
// from others. Names begin with a letter, which those of containers need not.
func hostName(host string) (name xlreg.Name, telling bool) {
	const most = 48 // of the 128 characters that a name can have
	host, _, _ = strings.Cut(host, ".")
	host = strings.Trim(strings.Map(validInName, host), "-")
	host = host[:min(len(host), most)]
	switch {
	case host == "":
		return "node", false
	case host[0] >= '0' && host[0] <= '9':
		host = "h-" + host
	}
	return xlreg.Name(host), !strings.EqualFold(host, "localhost")
}

func validInName(r rune) rune {
	if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

// newNodeKey returns the key that a node in dir will have: one that is given or there
// already, or one that is made now.
func newNodeKey(dir string, o *identity.Options) (xlreg.SigKey, error) {
	if o.Keys != nil {
		return o.Keys.SigKey, nil
	}
	for _, file := range []string{"sig.pem", "comms.pem"} {
		key, err := identity.ReadPrivateKey(filepath.Join(dir, file))
		if err == nil {
			return xlreg.SigKey(key.Public().DER()), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	kind, bits := cmp.Or(o.Kind, keys.RSA), o.Bits
	if kind == keys.RSA {
		bits = cmp.Or(bits, keys.DefaultBits)
	}
	set, err := keys.Generate(kind, bits)
	if err != nil {
		return "", err
	}
	o.Keys = set
	return set.SigKey, nil
}

// keyDigits returns enough of a key's fingerprint to tell the nodes of a cluster apart.
func keyDigits(key xlreg.SigKey) (string, error) {
	fingerprint, err := keys.Fingerprint(key)
	if err != nil {
		return "", err
	}
	sum, err := keys.ParseFingerprint(fingerprint)
	return hex.EncodeToString(sum[:3]), err
}
