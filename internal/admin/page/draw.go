package page

import (
	"strconv"
	"strings"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// A ring is a circle whose circumference counts as 360, and whose dashes are seats. So
// one attribute of one element says which seats are taken, whatever their number.
const (
	fullRing  = 360.0
	mostSeats = 64 // of a ring that shows each; a larger one shows the fraction
	miniSeats = 10 // the same for a ring as small as a letter
)

// ringDashes returns the dash pattern of a ring of size seats that paints some of them,
// in ascending order, each of them unless there are more than most.
func ringDashes(size, most int, seats []int) string {
	if size <= 0 || len(seats) == 0 {
		return "0 360"
	}
	if size > most {
		n := fullRing * float64(min(len(seats), size)) / float64(size)
		return degrees(n) + " " + degrees(fullRing-n)
	}
	seat := fullRing / float64(size)
	gap := min(8, seat*0.25)
	var dashes []string
	end := 0.0 // of the dash before
	for i, s := range seats {
		from := float64(s)*seat + gap/2
		if i == 0 {
			dashes = append(dashes, "0")
		}
		dashes = append(dashes, degrees(from-end), degrees(seat-gap))
		end = from + seat - gap
	}
	return strings.Join(append(dashes, degrees(fullRing-end)), " ")
}

// trackDashes is the pattern of all seats.
func trackDashes(size, most int) string { return ringDashes(size, most, upTo(size)) }

func upTo(size int) []int {
	all := make([]int, size)
	for i := range all {
		all[i] = i
	}
	return all
}

func degrees(d float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(d, 'f', 2, 64), "0"), ".")
}

// missing returns the seats that nobody has.
func missing(size int, taken []int) []int {
	var free []int
	next := 0
	for i := range size {
		if next < len(taken) && taken[next] == i {
			next++
			continue
		}
		free = append(free, i)
	}
	return free
}

// The timeline is a drawing of this size, with room for its line.
const (
	timelineWidth  = 600
	timelineHeight = 100
)

// timeline returns the points of a line that climbs a step with each member that joined,
// from the cluster's creation until end.
func timeline(size int, from, end time.Time, joined []time.Time) string {
	if size <= 0 || !end.After(from) {
		return ""
	}
	x := func(t time.Time) string {
		return degrees(timelineWidth * min(1, max(0, float64(t.Sub(from))/float64(end.Sub(from)))))
	}
	y := func(n int) string { return degrees(timelineHeight * (1 - float64(n)/float64(size))) }
	var b strings.Builder
	b.WriteString("0," + y(0))
	for i, t := range joined {
		b.WriteString(" " + x(t) + "," + y(i) + " " + x(t) + "," + y(i+1))
	}
	b.WriteString(" " + degrees(timelineWidth) + "," + y(len(joined)))
	return b.String()
}

// bar is one bucket of a histogram.
type bar struct {
	X, Y, Width, Height string
	Title               string
}

const (
	barsWidth  = 240
	barsHeight = 40
)

// bars draws the buckets of a formation, the fullest as high as there is room.
func bars(f api.Formation) []bar {
	var most uint64
	for _, n := range f.Counts {
		most = max(most, n)
	}
	if most == 0 {
		return nil
	}
	step := float64(barsWidth) / float64(len(f.Counts))
	all := make([]bar, len(f.Counts))
	for i, n := range f.Counts {
		height := barsHeight * float64(n) / float64(most)
		if n > 0 {
			height = max(height, 2) // what has happened can be seen
		}
		all[i] = bar{
			X: degrees(float64(i)*step + 1), Y: degrees(barsHeight - height),
			Width: degrees(step - 2), Height: degrees(height),
			Title: bucketText(f.Bounds, i) + ": " + countText(n),
		}
	}
	return all
}

func bucketText(bounds []int64, i int) string {
	switch {
	case len(bounds) == 0:
		return "any time"
	case i >= len(bounds):
		return "longer than " + spanText(bounds[len(bounds)-1])
	}
	return "up to " + spanText(bounds[i])
}

// within returns the bound below which a share of all formations stayed.
func within(f api.Formation, share float64) string {
	if f.Count == 0 {
		return ""
	}
	var sum uint64
	for i, n := range f.Counts {
		sum += n
		if float64(sum) >= share*float64(f.Count) {
			return bucketText(f.Bounds, i)
		}
	}
	return ""
}
