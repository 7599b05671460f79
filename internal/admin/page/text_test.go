package page

import (
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

func TestSeatsText(t *testing.T) {
	for want, seats := range map[string][]int{
		"":                            nil,
		"seat 3":                      {3},
		"seats 3 and 4":               {3, 4},
		"seats 0, 3–9 and 12":         {0, 3, 4, 5, 6, 7, 8, 9, 12},
		"seats 0, 2, 4, 6, 8, …":      {0, 2, 4, 6, 8, 10, 12},
		"seats 700–1023":              seq(700, 1024),
		"seats 0, 2, 4, 6 and 8–1023": append([]int{0, 2, 4, 6}, seq(8, 1024)...),
	} {
		if got := seatsText(seats); got != want {
			t.Errorf("%v are %q, want %q", seats, got, want)
		}
	}
}

func seq(from, to int) []int { return upTo(to)[from:] }

func TestTexts(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ageText(-time.Second), "0s"}, {ageText(59 * time.Second), "59s"}, {ageText(60 * time.Second), "1m"},
		{ageText(47 * time.Hour), "47h"}, {ageText(48 * time.Hour), "2d"},
		{spanText(999), "999 ms"}, {spanText(1000), "1 s"}, {spanText(1500), "1.5 s"}, {spanText(60_000), "1 min"}, {spanText(3_660_000), "1 h 1 min"},
		{countText(0), "0"}, {countText(999), "999"}, {countText(1024), "1\u202f024"}, {countText(-1234567), "-1\u202f234\u202f567"},
		{bytesText(1023), "1023 B"}, {bytesText(1024), "1.0 KiB"}, {bytesText(1 << 40), "1.0 TiB"}, {bytesText(1 << 51), "2048.0 TiB"},
		{short("SHA256:abcdefghijklmnop"), "SHA256:abcdefghijkl…"}, {short("abc"), "abc"},
		{some([]string{"a", "b"}, 2), "a, b"}, {some([]string{"a", "b", "c"}, 2), "a, b and 1 more"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// The dashes of a ring go once round, and paint as many seats as there are.
func TestRing(t *testing.T) {
	for _, c := range []struct {
		size  int
		seats []int
		dash  int // how many numbers there are
	}{{5, nil, 2}, {5, []int{0}, 4}, {5, []int{1, 4}, 6}, {2, []int{0, 1}, 6}, {64, upTo(64), 130}, {1024, upTo(700), 2}, {0, nil, 2}} {
		dashes := strings.Fields(ringDashes(c.size, mostSeats, c.seats))
		if len(dashes) != c.dash || len(dashes)%2 != 0 {
			t.Errorf("%d seats of %d: %q", len(c.seats), c.size, dashes)
		}
		sum := 0.0
		for _, d := range dashes {
			sum += number(t, d)
		}
		if sum < 359.5 || sum > 360.5 {
			t.Errorf("%d seats of %d go round %v degrees", len(c.seats), c.size, sum)
		}
	}
	if got := ringDashes(1024, mostSeats, upTo(512)); got != "180 180" {
		t.Errorf("half of them: %q", got)
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	d, err := time.ParseDuration(text + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d.Seconds()
}

func TestBars(t *testing.T) {
	f := api.Formation{Bounds: []int64{10, 100}, Counts: []uint64{1, 100, 0}, Count: 101}
	drawn := bars(f)
	if len(drawn) != 3 || drawn[0].Height != "2" || drawn[1].Height != "40" || drawn[2].Height != "0" || drawn[2].Title != "longer than 100 ms: 0" {
		t.Errorf("%+v", drawn)
	}
	if half, most := within(f, 0.5), within(f, 0.995); half != "up to 100 ms" || most != "up to 100 ms" {
		t.Errorf("half %s, most %s", half, most)
	}
	if got := within(api.Formation{}, 0.5); got != "" {
		t.Errorf("of none: %q", got)
	}
}

func TestTimeline(t *testing.T) {
	at := time.Unix(1000, 0)
	got := timeline(2, at, at.Add(10*time.Second), []time.Time{at.Add(5 * time.Second), at.Add(20 * time.Second)})
	if want := "0,100 300,100 300,50 600,50 600,0 600,0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := timeline(2, at, at, nil); got != "" {
		t.Errorf("of no time: %q", got)
	}
}
