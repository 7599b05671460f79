package view

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xlattice/xlreg"
)

// Row is a member as people read it.
type Row struct {
	Index       int
	Name        xlreg.Name
	ID          xlreg.NodeID
	Endpoints   []xlreg.Endpoint
	Fingerprint string    // of the sig key, SHA256:…
	Joined      time.Time // zero if that is not known
	Seen        time.Time // the last sign of life; zero if it gives none
	Labels      []string  // key=value
	Verified    bool
}

// Layout is how a roster is laid out.
type Layout struct {
	Width int  // columns there are; 0 is no bound
	Fold  bool // a member may take several lines that are no table any more
	Wide  bool // show everything, however long the lines get
	Now   time.Time
}

// WriteTable writes a roster for people, in lines that fit the width: with all
// endpoints of a member beside each other if there is room, or else below each other,
// or else, if that is allowed, with one paragraph for each member.
func WriteTable(w io.Writer, rows []Row, l Layout) error {
	_, err := io.WriteString(w, layOut(rows, l))
	return err
}

func layOut(rows []Row, l Layout) string {
	if l.Wide {
		return wideTable(rows)
	}
	text := table(rows, l.Now, false)
	if !l.fits(text) {
		text = table(rows, l.Now, true)
	}
	if l.Fold && !l.fits(text) {
		text = paragraphs(rows, l.Now)
	}
	return text
}

func (l *Layout) fits(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if l.Width > 0 && utf8.RuneCountInString(line) > l.Width {
			return false
		}
	}
	return true
}

// extras are the columns that are there only if some member has something in them.
type extras struct{ seen, labels bool }

func extrasOf(rows []Row) (x extras) {
	for i := range rows {
		x.seen = x.seen || !rows[i].Seen.IsZero()
		x.labels = x.labels || len(rows[i].Labels) > 0
	}
	return x
}

// add puts the columns before the last ones of a line.
func (x extras) add(cells []string, seen, labels string, last ...string) []string {
	if x.seen {
		cells = append(cells, seen)
	}
	if x.labels {
		cells = append(cells, labels)
	}
	return append(cells, last...)
}

func table(rows []Row, now time.Time, stacked bool) string {
	x := extrasOf(rows)
	cells := [][]string{x.add([]string{"INDEX", "NAME", "ENDPOINTS", "JOINED"}, "SEEN", "LABELS", "VERIFIED")}
	for i := range rows {
		r := &rows[i]
		first, others := Endpoints(r.Endpoints), []xlreg.Endpoint(nil)
		if stacked && len(r.Endpoints) > 1 {
			first, others = string(r.Endpoints[0]), r.Endpoints[1:]
		}
		line := []string{fmt.Sprint(r.Index), string(r.Name), first, Age(now, r.Joined)}
		cells = append(cells, x.add(line, Age(now, r.Seen), words(r.Labels), yesNo(r.Verified)))
		for _, e := range others {
			cells = append(cells, []string{"", "", string(e)})
		}
	}
	return Align(cells)
}

// words returns a list as one word, "-" if it is empty.
func words(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ",")
}

func wideTable(rows []Row) string {
	x := extrasOf(rows)
	cells := [][]string{x.add([]string{"INDEX", "NAME", "ID", "ENDPOINTS", "SIG KEY", "JOINED"}, "SEEN", "LABELS", "VERIFIED")}
	for i := range rows {
		r := &rows[i]
		line := []string{fmt.Sprint(r.Index), string(r.Name), r.ID.String(), Endpoints(r.Endpoints), r.Fingerprint, moment(r.Joined)}
		cells = append(cells, x.add(line, moment(r.Seen), words(r.Labels), yesNo(r.Verified)))
	}
	return Align(cells)
}

// moment says when something was, "-" if that is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// paragraphs is for windows in which no table has room.
func paragraphs(rows []Row, now time.Time) string {
	var b strings.Builder
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(&b, "%d  %s\n", r.Index, r.Name)
		for _, e := range r.Endpoints {
			fmt.Fprintf(&b, "   %s\n", e)
		}
		for _, label := range r.Labels {
			fmt.Fprintf(&b, "   %s\n", label)
		}
		seen := ""
		if !r.Seen.IsZero() {
			seen = "seen " + Age(now, r.Seen) + ", "
		}
		fmt.Fprintf(&b, "   joined %s, %sverified: %s\n", Age(now, r.Joined), seen, yesNo(r.Verified))
	}
	return b.String()
}

// Align puts cells below each other, two spaces apart, and no spaces at the end of
// a line. text/tabwriter would not align the lines that have fewer cells.
func Align(lines [][]string) string {
	var widths []int
	for _, cells := range lines {
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		var line strings.Builder
		for i, cell := range cells {
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// Age says how long ago something was, in its largest unit.
func Age(now, then time.Time) string {
	if then.IsZero() {
		return "-"
	}
	ago := max(0, now.Sub(then))
	switch {
	case ago < time.Minute:
		return fmt.Sprintf("%ds ago", int(ago.Seconds()))
	case ago < time.Hour:
		return fmt.Sprintf("%dm ago", int(ago.Minutes()))
	case ago < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(ago.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(ago.Hours()/24))
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
