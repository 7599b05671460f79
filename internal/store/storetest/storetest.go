// Package storetest is the suite that every driver of package store passes. A
// driver's own test opens it and calls Run, RunDurable if it keeps data, and RunShared
// if several servers may have it open at a time. For the tests of those who use a store it has two wrappers: Strict fails a test whose
// closures take liberties, and Meter counts what they use.
package storetest

import (
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

// Open returns an empty store. The suite closes it, perhaps more than once.
type Open func(t *testing.T) store.Store

// OpenDir opens the store that is kept in dir, and makes it if there is none.
type OpenDir func(t *testing.T, dir string) store.Store

type testCase struct {
	name string
	run  func(*testing.T, store.Store)
}

// Run holds the driver that open opens against the contract of store.Store.
func Run(t *testing.T, open Open) {
	for _, cases := range [][]testCase{valueCases(), transactionCases(), concurrentCases(), watchCases(), closeCases()} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				s := open(t)
				t.Cleanup(func() { mustClose(t, s) })
				c.run(t, s)
			})
		}
	}
}

// RunDurable holds a driver that keeps data against what it promised before it
// was closed. The driver must pass Run as well.
func RunDurable(t *testing.T, open OpenDir) {
	t.Run("Reopen", func(t *testing.T) { testReopen(t, open) })
	t.Run("ReopenAfterBusyClose", func(t *testing.T) { testReopenAfterBusyClose(t, open) })
	t.Run("ReopenModel", func(t *testing.T) { testReopenModel(t, open) })
}

// Shared opens one more store on a backend that several share.
type Shared func(t *testing.T) store.Store

// RunShared holds a driver to the contract where several stores are open on one
// backend. open returns an empty backend; the suite closes the stores.
func RunShared(t *testing.T, open func(t *testing.T) Shared) {
	Run(t, func(t *testing.T) store.Store {
		another := open(t)
		return NewServers(another(t), another(t))
	})
	for _, c := range sharedCases() {
		t.Run(c.name, func(t *testing.T) {
			another := open(t)
			c.run(t, func(t *testing.T) store.Store {
				s := another(t)
				t.Cleanup(func() { mustClose(t, s) })
				return s
			})
		})
	}
}
