package etcd_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) *mirror.Store {
	t.Helper()
	s, err := etcd.Open(t.Context(), url, etcd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openPatient is open for tests in which etcd is there, however slow the machine is.
func openPatient(t *testing.T, url string) *mirror.Store {
	t.Helper()
	s, err := etcd.Open(t.Context(), url, etcd.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	c := etcdtest.Start(t, etcdtest.Options{})
	var n atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		return openPatient(t, c.URL(fmt.Sprintf("contract%d", n.Add(1))))
	})
}

func TestShared(t *testing.T) {
	c := etcdtest.Start(t, etcdtest.Options{Members: 3})
	var n atomic.Int64
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		url := c.URL(fmt.Sprintf("shared%d", n.Add(1)))
		return func(t *testing.T) store.Store { return openPatient(t, url) }
	})
}

func TestDurable(t *testing.T) {
	c := etcdtest.Start(t, etcdtest.Options{Fsync: true})
	storetest.RunDurable(t, func(t *testing.T, dir string) store.Store {
		return openPatient(t, c.URL(strings.Trim(dir, "/")))
	})
}

func update(t *testing.T, s store.Store, f func(store.Writer) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func put(key, value string) func(store.Writer) error {
	return func(w store.Writer) error { return w.Put(key, []byte(value)) }
}

func mustClose(t *testing.T, s ...store.Store) {
	t.Helper()
	var errs error
	for _, one := range s {
		errs = errors.Join(errs, one.Close())
	}
	if errs != nil {
		t.Error(errs)
	}
}
