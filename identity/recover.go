package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// What a registry has in its directory beside the node's files.
const (
	credFile = "regCred.dat"
	dataFile = "xlreg.db"
)

// errRecordEmpty says that node.json is there and has nothing in it, which is what a
// power cut leaves of a file that was new to a disk without a journal.
var errRecordEmpty = errors.New("file is empty")

// recordRemedy is what to do about a node.json that makes no sense.
const recordRemedy = "put the right file there from a backup, or remove it and make the node anew with xlreg node init, which takes the keys that are there"

// isBlank reports whether data is what a file shows that was never written: nothing,
// zeros or white space.
func isBlank(data []byte) bool { return len(bytes.Trim(data, "\x00 \t\r\n")) == 0 }

// Recovered reports whether node.json was found empty when the node was read, and
// made anew of what the other files say. Of a node that is its name; the addresses
// and the IDs that registries gave it are lost, and are given anew. Of a registry it
// is its name and its ID.
func (n *Node) Recovered() bool { return n.recovered }

// recoverRecord makes a record in place of an empty one. Only what another file
// proves to belong to the keys is believed, and a registry's certificate does not make
// a node of it.
func (n *Node) recoverRecord() (record, error) {
	cred, err := regcred.Read(filepath.Join(n.dir, credFile))
	if err == nil && cred.SigKey == n.keys.SigKey {
		return n.recordOfCred(cred)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return record{}, n.cannotRecover(err)
	}
	if _, err := os.Lstat(filepath.Join(n.dir, dataFile)); err == nil {
		return record{}, fmt.Errorf("%s is empty, as after a power cut, and the %s of which a registry's is made anew is not there: restore it from a backup",
			filepath.Join(n.dir, recordFile), credFile)
	}
	c, err := loadCertificate(filepath.Join(n.dir, certificateFile))
	if err != nil {
		return record{}, n.cannotRecover(err)
	}
	if c.field == nil {
		return record{}, n.cannotRecover(fmt.Errorf("%s is not one that a node makes for itself", certificateFile))
	}
	if c.key != n.keys.SigKey {
		return record{}, n.cannotRecover(fmt.Errorf("%s is of another key", certificateFile))
	}
	// The certificate is bound to the key and the name by its subject (section 7).
	return record{name: c.name}, nil
}

// recordOfCred makes the record of a registry.
func (n *Node) recordOfCred(cred *xlreg.Credentials) (record, error) {
	if cred.CommsKey != n.keys.CommsKey {
		return record{}, n.cannotRecover(fmt.Errorf("%s has another comms key", credFile))
	}
	sig, err := keys.Fingerprint(cred.SigKey)
	if err != nil {
		return record{}, n.cannotRecover(err)
	}
	own := KnownRegistry{Sig: sig, Name: cred.Name, ID: cred.ID}
	return record{name: cred.Name, registries: []entry{{KnownRegistry: own}}}, nil
}

func (n *Node) cannotRecover(cause error) error {
	return fmt.Errorf("%s is empty, as after a power cut, and its name cannot be had from another file (%w): %s",
		filepath.Join(n.dir, recordFile), cause, recordRemedy)
}
