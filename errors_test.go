package xlreg_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func ExampleKind() {
	err := fmt.Errorf("join: %w", xlreg.Errorf(xlreg.ErrClusterFull, "%d of %d", 4, 4))
	fmt.Println(err)
	fmt.Println(errors.Is(err, xlreg.ErrClusterFull))
	// Output:
	// join: cluster is full: 4 of 4
	// true
}

// TestKindsOnTheWire repeats the table of section 5, which must never change.
func TestKindsOnTheWire(t *testing.T) {
	want := []string{
		1:  "cannot find cluster with this ID",
		2:  "cannot find cluster with this name",
		3:  "cluster member id already in use",
		4:  "cluster members must have at least one endPoint",
		5:  "cluster member name already in use",
		6:  "ID already in use",
		7:  "missing cluster name or ID",
		8:  "invalid msg type for current state",
		9:  "message tag out of range",
		10: "unexpected message type",
		11: "ill-formed token",
		12: "signature does not verify",
		13: "cluster is full",
		14: "too many requests",
		15: "not a member",
		16: "identity required",
		17: "cluster has another size",
		18: "try again later",
		19: "protocol error",
		20: "ill-formed name",
		21: "admission refused",
		22: "orders have changed",
		23: "registry is full",
		24: "key is not admitted",
	}
	kinds := xlreg.Kinds()
	if len(kinds) != 24 {
		t.Fatalf("%d kinds", len(kinds))
	}
	for i, k := range kinds {
		if int(k) != i+1 || k.Error() != want[i+1] || !k.Valid() {
			t.Errorf("kind %d is %q", k, k)
		}
	}
	for _, k := range []xlreg.Kind{0, 25, 255} {
		if k.Valid() || k.Error() == "" {
			t.Errorf("kind %d is valid or has no text", k)
		}
	}
}

func TestKindsAreFoundInWrappedErrors(t *testing.T) {
	for _, k := range xlreg.Kinds() {
		for _, err := range []error{k, xlreg.Errorf(k, "detail"), fmt.Errorf("a: %w", fmt.Errorf("b: %w", xlreg.Errorf(k, "c")))} {
			got, ok := xlreg.KindOf(err)
			if !ok || got != k || !errors.Is(err, k) {
				t.Errorf("%v: got %v", err, got)
			}
			if errors.Is(err, k%24+1) {
				t.Errorf("%v is also of kind %v", err, k%24+1)
			}
		}
	}
	for _, err := range []error{nil, errors.New("other"), xlreg.ErrBadID, xlreg.ErrBadKey} {
		if k, ok := xlreg.KindOf(err); ok {
			t.Errorf("%v has kind %v", err, k)
		}
	}
}

func TestErrorText(t *testing.T) {
	if got := (&xlreg.Error{Kind: xlreg.ErrClusterFull}).Error(); got != "cluster is full" {
		t.Errorf("got %q", got)
	}
	if got := xlreg.Errorf(xlreg.ErrClusterFull, "%d of %d", 4, 4).Error(); got != "cluster is full: 4 of 4" {
		t.Errorf("got %q", got)
	}
}

func TestRetryAfter(t *testing.T) {
	late := &xlreg.Error{Kind: xlreg.ErrTryLater, Retry: 3 * time.Second}
	if got := xlreg.RetryAfter(fmt.Errorf("create: %w", late)); got != 3*time.Second {
		t.Errorf("got %v", got)
	}
	for _, err := range []error{nil, xlreg.ErrTryLater, errors.New("other")} {
		if got := xlreg.RetryAfter(err); got != 0 {
			t.Errorf("%v: got %v", err, got)
		}
	}
}

func TestKindsThatEndASession(t *testing.T) {
	var ends []xlreg.Kind
	for _, k := range xlreg.Kinds() {
		if k.EndsSession(xlreg.Protocol20) {
			ends = append(ends, k)
		}
		if !k.EndsSession(xlreg.Protocol19) || !k.EndsSession(xlreg.Protocol18) {
			t.Errorf("a classic session goes on after %q", k)
		}
	}
	want := []xlreg.Kind{xlreg.ErrWrongState, xlreg.ErrBadTag, xlreg.ErrUnexpectedType, xlreg.ErrProtocol}
	if !slices.Equal(ends, want) {
		t.Errorf("a 2.0 session ends after %v, want %v", ends, want)
	}
}
