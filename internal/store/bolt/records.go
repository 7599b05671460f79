package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/codec"
)

// schema is the version of what stands below; the records have versions of
// their own. It stands under schemaKey in the bucket meta, as an unsigned varint.
const (
	schema    = 1
	schemaKey = "schema"
)

// The buckets, and what their keys and values are.
const (
	metaBucket    = "meta"     // schemaKey: schema
	nodeBucket    = "nodes"    // node ID: record
	clusterBucket = "clusters" // cluster ID: record
	nameBucket    = "names"    // cluster name: cluster ID
	seatBucket    = "seats"    // see seatKey: record
)

var (
	errForeign = errors.New("not a data file of xlreg")
	buckets    = [...]string{metaBucket, nodeBucket, clusterBucket, nameBucket, seatBucket}
)

// records reads and writes records in one bbolt transaction.
type records struct {
	tx *bbolt.Tx
}

func (r records) bucket(name string) *bbolt.Bucket { return r.tx.Bucket([]byte(name)) }

// Node implements store.Reader.
func (r records) Node(id xlreg.NodeID) (xlreg.Token, error) {
	record := r.bucket(nodeBucket).Get([]byte(id))
	if record == nil {
		return xlreg.Token{}, store.ErrNotFound
	}
	return codec.Node(record)
}

// Cluster implements store.Reader.
func (r records) Cluster(id xlreg.ClusterID) (store.Cluster, error) {
	return r.cluster([]byte(id))
}

// ClusterByName implements store.Reader.
func (r records) ClusterByName(name xlreg.Name) (store.Cluster, error) {
	id := r.bucket(nameBucket).Get([]byte(name))
	if id == nil {
		return store.Cluster{}, store.ErrNotFound
	}
	return r.cluster(id)
}

func (r records) cluster(id []byte) (store.Cluster, error) {
	record := r.bucket(clusterBucket).Get(id)
	if record == nil {
		return store.Cluster{}, store.ErrNotFound
	}
	return codec.Cluster(record)
}

// Seats implements store.Reader.
func (r records) Seats(id xlreg.ClusterID) ([]xlreg.Member, error) {
	var seats []xlreg.Member
	prefix := seatsOf(id)
	cursor := r.bucket(seatBucket).Cursor()
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
		m, err := codec.Seat(v)
		if err != nil {
			return nil, err
		}
		seats = append(seats, m)
	}
	return seats, nil
}

// PutNode implements store.Sink.
func (r records) PutNode(node xlreg.Token) error {
	record := make([]byte, 0, codec.TokenSize(&node))
	return r.bucket(nodeBucket).Put([]byte(node.ID), codec.AppendNode(record, &node))
}

// PutCluster implements store.Sink.
func (r records) PutCluster(c store.Cluster) error {
	id := []byte(c.ID)
	if err := r.bucket(clusterBucket).Put(id, codec.AppendCluster(nil, &c)); err != nil {
		return err
	}
	names, name := r.bucket(nameBucket), []byte(c.Name)
	if bytes.Equal(names.Get(name), id) {
		return nil // a change of a seat comes here too, and need not write names
	}
	return names.Put(name, id)
}

// PutSeat implements store.Sink.
func (r records) PutSeat(id xlreg.ClusterID, m xlreg.Member) error {
	record := make([]byte, 0, codec.TokenSize(&m.Token))
	return r.bucket(seatBucket).Put(seatKey(id, m.Index), codec.AppendSeat(record, &m))
}

// DeleteSeat implements store.Sink.
func (r records) DeleteSeat(id xlreg.ClusterID, index int) error {
	return r.bucket(seatBucket).Delete(seatKey(id, index))
}

// seatsOf returns what the keys of a cluster's seats begin with. The length
// comes first, so that no ID's keys are among those of a longer one.
func seatsOf(id xlreg.ClusterID) []byte {
	prefix := make([]byte, 0, 2+len(id))
	prefix = append(prefix, byte(len(id)))
	return append(prefix, id...)
}

// seatKey sorts by index within the cluster.
func seatKey(id xlreg.ClusterID, index int) []byte {
	return append(seatsOf(id), byte(index))
}

// checkSchema makes the buckets in an empty file, and refuses one that this
// program does not understand. It writes nothing to any other.
func checkSchema(db *bbolt.DB) error {
	empty := false
	err := db.View(func(tx *bbolt.Tx) error {
		first, _ := tx.Cursor().First()
		if empty = first == nil; empty {
			return nil
		}
		return checkBuckets(tx)
	})
	if err != nil || !empty {
		return err
	}
	return db.Update(makeBuckets)
}

func checkBuckets(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return errForeign
	}
	if err := checkVersion(meta.Get([]byte(schemaKey))); err != nil {
		return err
	}
	for _, name := range buckets {
		if tx.Bucket([]byte(name)) == nil {
			return fmt.Errorf("%w: it has no bucket %q", errForeign, name)
		}
	}
	return nil
}

func checkVersion(value []byte) error {
	v, n := binary.Uvarint(value)
	if n <= 0 || v == 0 {
		return errForeign
	}
	if v > schema {
		return fmt.Errorf("%w: schema %d, this program knows %d", store.ErrNewerSchema, v, schema)
	}
	return nil
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("make bucket %q: %w", name, err)
		}
	}
	return tx.Bucket([]byte(metaBucket)).Put([]byte(schemaKey), binary.AppendUvarint(nil, schema))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
