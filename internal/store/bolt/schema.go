package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/xlattice/xlreg/internal/store"
)

// schema is the version of the file's form; the values have versions of their own.
// It stands under schemaKey in the bucket meta, as an unsigned varint.
//
//	1  a bucket for each noun
//	2  one bucket of ordered keys
const (
	schema    = 2
	schemaKey = "schema"
)

const (
	metaBucket  = "meta"
	valueBucket = "values"
	totalKey    = "total" // in meta: the sum over all values
)

// ErrForeign says that the file is one of bbolt, and of another program.
var ErrForeign = errors.New("not a data file of xlreg")

// checkSchema refuses a file that this program does not understand.
func checkSchema(db *bbolt.DB) (err error) {
	if guardErr := guarded(func() { err = db.View(checkBuckets) }); guardErr != nil {
		return guardErr
	}
	return err
}

func checkBuckets(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return ErrForeign
	}
	if err := checkVersion(meta.Get([]byte(schemaKey))); err != nil {
		return err
	}
	if tx.Bucket([]byte(valueBucket)) == nil {
		return fmt.Errorf("%w: it has no bucket %q", ErrForeign, valueBucket)
	}
	return nil
}

func checkVersion(value []byte) error {
	v, n := binary.Uvarint(value)
	switch {
	case n <= 0 || v == 0:
		return ErrForeign
	case v > schema:
		return fmt.Errorf("%w: schema %d, this program knows %d", store.ErrNewerSchema, v, schema)
	case v < schema:
		return fmt.Errorf("%w: schema %d, this program knows %d", store.ErrOlderSchema, v, schema)
	}
	return nil
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range []string{metaBucket, valueBucket} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("make bucket %q: %w", name, err)
		}
	}
	meta := tx.Bucket([]byte(metaBucket))
	return errors.Join(
		meta.Put([]byte(schemaKey), binary.AppendUvarint(nil, schema)),
		meta.Put([]byte(totalKey), new(total).marshal()),
	)
}
