package admintest

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errSeen = errors.New("seen enough")

// follow returns what one call tells after a revision.
func follow(t *testing.T, r *Registry, since string) (restart bool, changes []api.Change) {
	t.Helper()
	err := r.Follow(t.Context(), since, func(again bool, news []api.Change) error {
		restart, changes = again, news
		return errSeen
	})
	if !errors.Is(err, errSeen) {
		t.Fatal(err)
	}
	return restart, changes
}

func TestRegistry(t *testing.T) {
	r := New(nil)
	id := r.Create("choir", 2)
	since := r.Registry().Revision
	r.Form(id)
	c, err := r.Cluster(t.Context(), id)
	if err != nil || c.State != api.StateFull || len(c.Seats) != 2 || c.Formed == nil {
		t.Errorf("%+v, %v", c, err)
	}
	restart, changes := follow(t, r, since)
	if restart || len(changes) != 1 || changes[0].Cluster.Members != 2 {
		t.Errorf("restart %v, %+v", restart, changes)
	}
	r.Leave(id, "m0")
	if c, _ := r.Cluster(t.Context(), id); c.State != api.StateReduced {
		t.Errorf("after a leave: %+v", c)
	}
	r.Vanish(id)
	if restart, changes = follow(t, r, since); restart || len(changes) != 1 || changes[0].Gone != id {
		t.Errorf("restart %v, %+v", restart, changes)
	}
	r.ForgetHistory()
	if restart, _ = follow(t, r, since); !restart {
		t.Error("what is forgotten was told")
	}
}

func TestPages(t *testing.T) {
	r := New(nil)
	for range 5 {
		r.Create("c", 2)
	}
	seen := make(map[string]bool)
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page, err := r.Clusters(t.Context(), api.ClusterQuery{Cursor: cursor, Limit: 2})
		if err != nil || page.Total != 5 || pages > 3 {
			t.Fatalf("%+v, %v", page, err)
		}
		for _, c := range page.Items {
			seen[c.ID] = true
		}
		cursor = page.Next
	}
	if len(seen) != 5 {
		t.Errorf("%d clusters on all pages", len(seen))
	}
}

func TestChanges(t *testing.T) {
	r := New(nil)
	id := r.Create("choir", 2)
	r.Form(id)
	by := r.By("me", "here")
	if _, err := by.Evict(t.Context(), id, api.Eviction{Member: "m9"}); !errors.Is(err, api.ErrNotFound) {
		t.Error(err)
	}
	done, err := by.Evict(t.Context(), id, api.Eviction{Member: "m1"})
	if err != nil || done.Cluster.Members != 1 || len(done.Evicted) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	old := done.Cluster.Revision - 1
	if _, err := by.Delete(t.Context(), id, &old); !errors.Is(err, api.ErrChanged) {
		t.Error(err)
	}
	r.Own(id, Fingerprint("owner"))
	if _, err := by.Reopen(t.Context(), id, nil); !errors.Is(err, api.ErrOwned) {
		t.Error(err)
	}
	if deeds := r.Deeds(); len(deeds) != 1 || deeds[0].Admin != "me" || deeds[0].From != "here" {
		t.Errorf("%+v", deeds)
	}
}

func TestWait(t *testing.T) {
	r := New(nil)
	id := r.Create("choir", 2)
	waited := make(chan error, 1)
	go func() { waited <- r.WaitCluster(context.Background(), id, 1, time.Minute) }()
	r.Join(id, "a", 0)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx, r.Registry().Revision, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestServe(t *testing.T) {
	s, err := Serve(admin.Config{Steward: New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if s.Token == "" || s.URL == "" {
		t.Errorf("%+v", s)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
