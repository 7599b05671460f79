package registry_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// afterView does something when the next View has been done, before its caller knows.
type afterView struct {
	store.Store
	then atomic.Pointer[func()]
}

func (s *afterView) View(ctx context.Context, f func(store.Reader) error) error {
	err := s.Store.View(ctx, f)
	if then := s.then.Swap(nil); then != nil {
		(*then)()
	}
	return err
}

// A cluster that its owner deletes while somebody reads it is gone, and not one without
// members.
func TestAClusterIsDeletedWhileItIsRead(t *testing.T) {
	s := &afterView{Store: memory.New()}
	w := newWorldOn(t, s)
	k := w.keyed("c", 2)
	w.StockTaken() // from now on nobody else has a View
	deletes := func() {
		if _, err := k.order(xlreg.Order{Kind: xlreg.OrderDelete}); err != nil {
			t.Error(err)
		}
	}
	s.then.Store(&deletes)
	_, err := w.Roster(t.Context(), xlreg.ClusterRef{ID: k.cluster.ID, Key: k.cluster.Key}, xlreg.Protocol20)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
}
