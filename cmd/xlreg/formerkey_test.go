package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// The end of the former keys is announced two weeks before, and louder then.
func TestTellFormer(t *testing.T) {
	const days = 24 * time.Hour
	now := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		until time.Time
		want  string // empty: nothing
		wait  time.Duration
	}{
		"never changed":  {time.Time{}, "", days},
		"long to go":     {now.Add(100 * days), "level=INFO msg=\"clients that know only the former keys are served for now\" until=2027-05-11T12:00:00.000Z", days},
		"two weeks":      {now.Add(14 * days), "level=WARN msg=\"the former keys are about to be switched off", days},
		"the last hours": {now.Add(time.Hour), "level=WARN msg=\"the former keys are about to be switched off", time.Hour},
		"over":           {now, "level=WARN msg=\"the former keys are switched off", days},
	} {
		var out bytes.Buffer
		tellFormer(slog.New(slog.NewTextHandler(&out, nil)), c.until, now)
		if got := out.String(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %s", name, got)
		}
		if got := untilNotice(c.until, now); got != c.wait {
			t.Errorf("%s: said again after %v, want %v", name, got, c.wait)
		}
	}
}

func TestDay(t *testing.T) {
	for text, want := range map[string]string{
		"2027-01-31": "2027-01-31T00:00:00Z", "2027-01-31T12:00:00+02:00": "2027-01-31T10:00:00Z", "": "",
		"31.1.2027": "error", "tomorrow": "error", "2027-02-30": "error",
	} {
		var d day
		err := d.Set(text)
		if got := d.String(); err == nil && got != want || (err != nil) != (want == "error") {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
