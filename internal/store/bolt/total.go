package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/xlattice/xlreg/internal/store/bolt/boltfile"
)

// total is a sum over all keys and values. It is written with each commit, and says
// whether one is missing, or another one there: a damaged page can hide a key
// without looking damaged, and "there is no such cluster" is an answer, too.
type total struct {
	count, sum uint64
}

const totalLen = 16

func (t *total) add(key, value []byte) {
	t.count++
	t.sum += itemSum(key, value)
}

func (t *total) remove(key, value []byte) {
	t.count--
	t.sum -= itemSum(key, value)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// itemSum has the key's length in it, so that no byte can go from one to the other.
func itemSum(key, value []byte) uint64 {
	head := crc32.Update(uint32(len(key)), castagnoli, key)
	return uint64(head)<<32 | uint64(crc32.Update(head, castagnoli, value))
}

func (t *total) marshal() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, totalLen), t.count)
	return binary.BigEndian.AppendUint64(b, t.sum)
}

func parseTotal(b []byte) (total, error) {
	if len(b) != totalLen {
		return total{}, fmt.Errorf("%w: it has no sum over its values", ErrDamaged)
	}
	return total{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

// verifiedAtOnce is up to which size a file is gone through before it is opened. It
// takes a fifth of a second at most.
const verifiedAtOnce = 64 << 20

// visitor is called for each key in a file.
type visitor func(bucket string, key, value []byte) error

// verify holds what is in a file, which walk goes through, against its own sum. A
// file of another schema has none, and is for checkSchema to refuse.
func verify(walk func(visitor) error) error {
	var found, want total
	ours := false
	var bad error
	err := walk(func(bucket string, key, value []byte) error {
		switch {
		case bucket == valueBucket:
			found.add(key, value)
		case bucket == metaBucket && string(key) == schemaKey:
			ours = checkVersion(value) == nil
		case bucket == metaBucket && string(key) == totalKey:
			want, bad = parseTotal(value)
		}
		return nil
	})
	if err != nil || !ours {
		return err
	}
	if bad == nil {
		bad = found.compare(want)
	}
	return bad
}

// compare holds what was found against what there should be.
func (t *total) compare(want total) error {
	switch {
	case t.count != want.count:
		return fmt.Errorf("%w: it has %d records and should have %d", ErrDamaged, t.count, want.count)
	case t.sum != want.sum:
		return fmt.Errorf("%w: its %d records are not what was written", ErrDamaged, t.count)
	}
	return nil
}

// verifyLarge goes through a file that was too large to do that before it was
// opened, in the state that it has now. Its pages are kept meanwhile.
func (d *driver) verifyLarge(ctx context.Context) error {
	if d.file.Size() <= verifiedAtOnce {
		return nil
	}
	for ctx.Err() == nil {
		err := d.verifyNow(ctx)
		if !errors.Is(err, boltfile.ErrNoState) {
			return err
		}
	}
	return nil
}

func (d *driver) verifyNow(ctx context.Context) error {
	tx, err := d.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close()
	head, err := boltfile.ReadHead(f, tx.Size())
	if err != nil {
		return boltfile.ErrNoState // a commit may be writing it at this moment
	}
	err = verify(func(visit visitor) error {
		return head.VerifyTx(f, uint64(tx.ID()), func(bucket string, key, value []byte) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return visit(bucket, key, value)
		})
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
