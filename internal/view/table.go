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

func table(rows []Row, now time.Time, stacked bool) string {
	cells := [][]string{{"INDEX", "NAME", "ENDPOINTS", "JOINED", "VERIFIED"}}
	for i := range rows {
		r := &rows[i]
		first, others := Endpoints(r.Endpoints), []xlreg.Endpoint(nil)
		if stacked && len(r.Endpoints) > 1 {
			first, others = string(r.Endpoints[0]), r.Endpoints[1:]
		}
		cells = append(cells, []string{fmt.Sprint(r.Index), string(r.Name), first, age(now, r.Joined), yesNo(r.Verified)})
		for _, e := range others {
			cells = append(cells, []string{"", "", string(e)})
		}
	}
	return align(cells)
}

func wideTable(rows []Row) string {
	cells := [][]string{{"INDEX", "NAME", "ID", "ENDPOINTS", "SIG KEY", "JOINED", "VERIFIED"}}
	for i := range rows {
		r := &rows[i]
		joined := "-"
		if !r.Joined.IsZero() {
			joined = r.Joined.UTC().Format(time.RFC3339)
		}
		cells = append(cells, []string{
			fmt.Sprint(r.Index), string(r.Name), r.ID.String(), Endpoints(r.Endpoints), r.Fingerprint, joined, yesNo(r.Verified),
		})
	}
	return align(cells)
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
		fmt.Fprintf(&b, "   joined %s, verified: %s\n", age(now, r.Joined), yesNo(r.Verified))
	}
	return b.String()
}

// align puts cells below each other, two spaces apart, and no spaces at the end of
// a line. text/tabwriter would not align the lines that have fewer cells.
func align(lines [][]string) string {
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

// age says how long ago something was, in its largest unit.
func age(now, then time.Time) string {
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
