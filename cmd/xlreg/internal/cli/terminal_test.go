package cli

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCut(t *testing.T) {
	cases := []struct {
		s    string
		most int
		want string
	}{
		{"", 5, ""}, {"abc", 5, "abc"}, {"abcde", 5, "abcde"}, {"abcdef", 5, "abcd…"},
		{"äöüßé", 5, "äöüßé"}, {"äöüßéà", 5, "äöüß…"}, {"ab", 1, "…"}, {"ab", 0, "ab"},
	}
	for _, c := range cases {
		if got := cut(c.s, c.most); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.s, c.most, got, c.want)
		}
	}
}

// What takes no context is left alone when the program is to end.
func TestInterruptible(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if v, err := Interruptible(ctx, func() (int, error) { return 3, nil }); v != 3 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	release := make(chan struct{})
	defer close(release)
	_, err := Interruptible(ctx, func() (int, error) {
		cancel()
		<-release
		return 0, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := Interruptible(ctx, func() (int, error) { t.Error("begun"); return 0, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted before: %v", err)
	}
}

// A marked error reads as before, and is both.
func TestMark(t *testing.T) {
	cause := errors.New("no such flag")
	if err := UsageError(cause); err.Error() != cause.Error() || !errors.Is(err, cause) || !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}
