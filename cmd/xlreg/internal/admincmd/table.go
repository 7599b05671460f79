package admincmd

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/view"
)

// table is rows for people, the first of them the heads.
type table struct {
	rows [][]string
	cut  []int // the columns that may be cut
}

func newTable(heads ...string) *table { return &table{rows: [][]string{heads}} }

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = cli.Printable(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// text lays the table out in width columns; 0 is no bound.
func (t *table) text(width int) string {
	if width > 0 {
		t.fit(width)
	}
	return view.Align(t.rows)
}

// gap is how many spaces view.Align puts between columns, and leastCell how many letters
// are left of what is cut.
const (
	gap       = 2
	leastCell = 8
)

// fit cuts what is long, the widest column first, until lines have at most width columns.
func (t *table) fit(width int) {
	widths := t.widths()
	over := -gap - width
	for _, w := range widths {
		over += w + gap
	}
	for ; over > 0; over-- {
		widest := -1
		for _, i := range t.cut {
			if i < len(widths) && widths[i] > leastCell && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	for _, row := range t.rows {
		for i := range row {
			row[i] = cutMiddle(row[i], widths[i])
		}
	}
}

func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// cutMiddle shortens a text to most letters. Names that differ often do so at their ends.
func cutMiddle(s string, most int) string {
	r := []rune(s)
	if len(r) <= most || most < 1 {
		return s
	}
	head := most / 2
	return string(r[:head]) + "…" + string(r[len(r)-(most-head-1):])
}

// printTable writes a table for people.
func (a *admin) printTable(t *table) error {
	var b bytes.Buffer
	b.WriteString(t.text(a.width()))
	return a.PrintText(&b)
}

// width is how long lines may get; 0 is no bound.
func (a *admin) width() int {
	if a.isWide() {
		return 0
	}
	return cli.Width(a.Out)
}

// shortID is enough of an ID to name it with: commands take the beginning of one.
func (a *admin) shortID(id string) string {
	const enough = 12
	if a.isWide() || len(id) <= enough {
		return id
	}
	return id[:enough]
}

// ago says how long ago something was; "-" if that is not known.
func (a *admin) ago(t *time.Time) string {
	switch {
	case t == nil:
		return "-"
	case a.isWide():
		return t.UTC().Format(time.RFC3339)
	}
	return strings.TrimSuffix(view.Age(time.Now(), *t), " ago")
}

// in says when something will be; "-" if that is not known.
func (a *admin) in(t *time.Time) string {
	if t == nil || a.isWide() {
		return a.ago(t)
	}
	return Span(max(0, time.Until(*t)))
}

// Span is a time as people read it, in two or three digits.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0fm", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0fh", d.Hours())
	}
	return fmt.Sprintf("%.0fd", d.Hours()/24)
}

// millis is Span of what the API gives; "-" if it does not.
func millis(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return Span(time.Duration(*ms) * time.Millisecond)
}

// list returns words separated by commas; "-" if there are none.
func list(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ",")
}

// Missing returns the indexes below size that are not taken, as "0,3-5".
func Missing(taken []int, size int) string {
	var runs []string
	for i := 0; i < size; i++ {
		if slices.Contains(taken, i) {
			continue
		}
		from := i
		for i+1 < size && !slices.Contains(taken, i+1) {
			i++
		}
		switch {
		case from == i:
			runs = append(runs, fmt.Sprint(from))
		default:
			runs = append(runs, fmt.Sprintf("%d-%d", from, i))
		}
	}
	return list(runs)
}

// Count returns a number of things.
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Bytes is a number of bytes as people read it.
func Bytes(n int64) string {
	const step = 1 << 10
	if n < step {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n), 0
	for value >= step && unit < len("KMGTPE") {
		value, unit = value/step, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit-1])
}
