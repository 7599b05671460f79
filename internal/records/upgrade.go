package records

import (
	"context"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/keys"
)

// upgradeBatch is how many records one Update of Upgrade replaces.
const upgradeBatch = 16

// Upgrade gives the records of version 1 what today's rules find seats and nodes by: a
// seat was found by its node's ID, and is now by its key; and a key that spoke 2.0 is
// one node. A store that has been upgraded costs one empty scan. Two servers may do it
// at once, and what a crash leaves undone is done the next time.
func Upgrade(ctx context.Context, s store.Store) error {
	for {
		batch, err := oldRefs(ctx, s)
		if err != nil || len(batch) == 0 {
			return err
		}
		err = s.Update(ctx, func(tx store.Writer) error {
			w := NewWriter(tx)
			for _, key := range batch {
				if err := w.upgradeRef(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("upgrade records: %w", err)
		}
	}
}

// oldRefs returns the keys of some records that Upgrade replaces.
func oldRefs(ctx context.Context, s store.Store) (batch []string, err error) {
	err = s.View(ctx, func(tx store.Reader) error {
		batch = batch[:0]
		for item, err := range tx.Scan(seatByIDRoot) {
			if err != nil {
				return err
			}
			if batch = append(batch, item.Key); len(batch) == upgradeBatch {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for old records: %w", err)
	}
	return batch, nil
}

func (w Writer) upgradeRef(key string) error {
	var ref recordspb.SeatRef
	err := w.get(key, &ref)
	if IsNotFound(err) {
		return nil // another server was faster
	}
	if err != nil {
		return err
	}
	id := clusterIn(key)
	seat, err := w.trace(id, int(ref.GetIndex()))
	if err != nil && !IsNotFound(err) {
		return err
	}
	if err == nil && seat.lastKey == "" {
		err = w.linkKey(id, seat.Index, keys.KeySum(seat.Token.SigKey))
	}
	if err != nil && !IsNotFound(err) {
		return err
	}
	if err := w.upgradeNode(seat.Token.ID, seat.Token.SigKey); err != nil {
		return err
	}
	return w.remove(key)
}

// upgradeNode makes a member's key the node that the member is, if no other is.
func (w Writer) upgradeNode(id xlreg.NodeID, key xlreg.SigKey) error {
	if id == "" {
		return nil
	}
	sum := keys.KeySum(key)
	_, err := w.NodeOfKey(sum)
	if IsNotFound(err) {
		return w.BindKey(sum, id)
	}
	return err
}
