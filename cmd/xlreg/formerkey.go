package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/xlattice/xlreg/internal/host"
)

// formerNotice is how long before the end of a registry's former key its log begins to say
// so, once a day.
const formerNotice = 14 * 24 * time.Hour

// day is a flag for a time: the beginning of a day in UTC, or a time of it.
type day time.Time

// String implements pflag.Value.
func (d *day) String() string {
	if time.Time(*d).IsZero() {
		return ""
	}
	return time.Time(*d).UTC().Format(time.RFC3339)
}

// Set implements pflag.Value. An empty text is no day.
func (d *day) Set(text string) error {
	if text == "" {
		*d = day{}
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			*d = day(t)
			return nil
		}
	}
	return errors.New("want a day such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z")
}

// Type implements pflag.Value.
func (d *day) Type() string { return "date" }

// attendFormer says in the log, until ctx ends, when clients that know only the keys before
// the present ones are about to be refused, and when they are.
func attendFormer(ctx context.Context, h *host.Host, log *slog.Logger) error {
	var over time.Time // the end of which everything has been said
	for ctx.Err() == nil {
		until, now := h.FormerUntil(), time.Now()
		if !until.Equal(over) {
			tellFormer(log, until, now)
		}
		if !now.Before(until) {
			over = until
		}
		wait, end := context.WithTimeout(ctx, untilNotice(until, now))
		<-wait.Done()
		end()
	}
	return nil
}

// untilNotice returns after what time there is something to say again.
func untilNotice(until, now time.Time) time.Duration {
	const daily = 24 * time.Hour
	if left := until.Sub(now); left > 0 {
		return min(left, daily)
	}
	return daily
}

// tellFormer says how it stands with the former keys.
func tellFormer(log *slog.Logger, until, now time.Time) {
	left := until.Sub(now)
	switch {
	case until.IsZero(): // they have never changed
	case left <= 0:
		log.Warn("the former keys are switched off: clients that know no others are refused, and need the new credentials", "since", until.UTC())
	case left <= formerNotice:
		log.Warn("the former keys are about to be switched off: clients that know no others need the new credentials before that", "until", until.UTC())
	default:
		log.Info("clients that know only the former keys are served for now", "until", until.UTC())
	}
}
