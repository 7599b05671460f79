package client_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

// settable is a machine's time of day, which may be wrong by so many nanoseconds.
type settable struct{ off atomic.Int64 }

func newSettable(off time.Duration) *settable {
	c := new(settable)
	c.off.Store(int64(off))
	return c
}

func (c *settable) Now() time.Time { return time.Now().Add(time.Duration(c.off.Load())) }

// A machine that has no clock of its own believes that it is 1970 until the network tells
// it better. It says so, and by how much, and forms its cluster when it is told; its
// certificate is then one that the others accept.
func TestFormWhenTheClockIsSet(t *testing.T) {
	for name, off := range map[string]func() time.Duration{
		"behind": func() time.Duration { return time.Until(time.Unix(0, 0)) },
		"ahead":  func() time.Duration { return 20 * 24 * time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, xlreg.Protocol20)
				f.addOther("alice")
				f.addOther("bob")
				clock := newSettable(off())
				after(t, 40*time.Second, func() { clock.off.Store(0) })
				var log bytes.Buffer
				var told error
				o := f.formOptions(newNode(t, "n"))
				o.Now, o.Logger = clock.Now, slog.New(slog.NewTextHandler(&log, nil))
				o.Progress = func(p client.Progress) {
					if p.Err != nil {
						told = p.Err
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				m, err := client.Form(ctx, f.target(), o)
				if err != nil || time.Since(start) > 42*time.Second {
					t.Fatalf("%v after %v", err, time.Since(start))
				}
				if !errors.Is(told, client.ErrClock) || errors.Is(told, client.ErrUntrusted) {
					t.Errorf("told %v", told)
				}
				for _, part := range []string{"clock", "days " + name} {
					if !strings.Contains(told.Error(), part) || !strings.Contains(log.String(), part) {
						t.Errorf("%q, and in the log %q, do not say %q", told, &log, part)
					}
				}
				cert, err := m.Self().Certificate()
				if err != nil || time.Now().Before(cert.NotBefore) || time.Now().After(cert.NotAfter) {
					t.Errorf("shows a certificate valid from %v to %v: %v", cert.NotBefore, cert.NotAfter, err)
				}
			})
		})
	}
}

// At the deadline the error is about the clock.
func TestTheClockIsNeverSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		clock := newSettable(time.Until(time.Unix(0, 0)))
		o := f.options(nil)
		o.Now = clock.Now
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Dial(ctx, f.target(), o)
		if !errors.Is(err, client.ErrClock) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		t.Log(err)
	})
}

// Members whose certificates are not valid now are named in the log.
func TestMembersWithWrongDatesAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, xlreg.Protocol20)
		for i, name := range []string{"early", "late"} {
			off := []time.Duration{48 * time.Hour, -200 * 24 * time.Hour}[i]
			token, _, err := newNodeOf(t, memberKeys()[i], name).Token(f.protocol, "", time.Now().Add(off))
			if err != nil {
				t.Fatal(err)
			}
			f.add(*token, xlreg.NodeID(id(name)))
		}
		var log bytes.Buffer
		o := f.formOptions(newNode(t, "n"))
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		must[*client.Membership](t)(client.Form(t.Context(), f.target(), o))
		for _, part := range []string{"member=early", "is not valid before", "member=late", "expired at"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log does not say %q: %s", part, &log)
			}
		}
		if strings.Contains(log.String(), "member=n ") {
			t.Errorf("the log names n: %s", &log)
		}
	})
}
