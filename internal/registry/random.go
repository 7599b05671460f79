package registry

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// A unique name ends in a hyphen and this much randomness.
const (
	uniqueBits   = 80
	uniqueSuffix = 1 + uniqueBits/5 // characters
	uniqueStem   = "c"              // of a cluster that was given no name
)

// maxDraws is how often a random ID or name is drawn anew that is in use already.
// Twice in a row does not happen by chance.
const maxDraws = 8

// errNoFreeDraw says that everything drawn was in use: either the source of chance is
// broken, or the store says that there is what was never put.
var errNoFreeDraw = fmt.Errorf("%d random values in a row were in use", maxDraws)

// freeID returns a random ID that neither a node nor a cluster nor the registry
// itself has.
func (r *Registry) freeID(tx records.Reader) (string, error) {
	for range maxDraws {
		b := make([]byte, r.idLen)
		rand.Read(b) // never fails
		used, err := r.idInUse(tx, string(b))
		if err != nil || !used {
			return string(b), err
		}
	}
	return "", errNoFreeDraw
}

func (r *Registry) idInUse(tx records.Reader, id string) (bool, error) {
	if xlreg.NodeID(id) == r.self {
		return true, nil
	}
	_, err := tx.Node(xlreg.NodeID(id))
	if used, err := exists(err); used || err != nil {
		return used, err
	}
	_, err = tx.Cluster(xlreg.ClusterID(id))
	return exists(err)
}

// freeName returns stem with a random suffix, a name that no cluster has.
func freeName(tx records.Reader, stem xlreg.Name) (xlreg.Name, error) {
	if stem == "" {
		stem = uniqueStem
	}
	stem = stem[:min(len(stem), xlreg.MaxNameLen-uniqueSuffix)]
	for range maxDraws {
		var b [uniqueBits / 8]byte
		rand.Read(b[:]) // never fails
		name := stem + "-" + xlreg.Name(strings.ToLower(base32.StdEncoding.EncodeToString(b[:])))
		_, err := tx.ClusterByName(name, "")
		if used, err := exists(err); err != nil || !used {
			return name, err
		}
	}
	return "", errNoFreeDraw
}
