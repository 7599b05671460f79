package registry

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// A unique name ends in a hyphen and this much randomness.
const (
	uniqueBits   = 80
	uniqueSuffix = 1 + uniqueBits/5 // characters
	uniqueStem   = "c"              // of a cluster that was given no name
)

// freeID returns a random ID that neither a node nor a cluster nor the registry
// itself has.
func (r *Registry) freeID(tx store.Reader) (string, error) {
	for {
		b := make([]byte, r.idLen)
		rand.Read(b) // never fails
		used, err := r.idInUse(tx, string(b))
		if err != nil || !used {
			return string(b), err
		}
	}
}

func (r *Registry) idInUse(tx store.Reader, id string) (bool, error) {
	if xlreg.NodeID(id) == r.self {
		return true, nil
	}
	if _, err := tx.Node(xlreg.NodeID(id)); !errors.Is(err, store.ErrNotFound) {
		return err == nil, err
	}
	if _, err := tx.Cluster(xlreg.ClusterID(id)); !errors.Is(err, store.ErrNotFound) {
		return err == nil, err
	}
	return false, nil
}

// freeName returns stem with a random suffix, a name no cluster has.
func freeName(tx store.Reader, stem xlreg.Name) (xlreg.Name, error) {
	if stem == "" {
		stem = uniqueStem
	}
	stem = stem[:min(len(stem), xlreg.MaxNameLen-uniqueSuffix)]
	for {
		var b [uniqueBits / 8]byte
		rand.Read(b[:]) // never fails
		name := stem + "-" + xlreg.Name(strings.ToLower(base32.StdEncoding.EncodeToString(b[:])))
		if _, err := tx.ClusterByName(name); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return name, err
		}
	}
}
