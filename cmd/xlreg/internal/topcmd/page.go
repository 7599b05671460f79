package topcmd

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/admincmd"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/view"
)

// Styles. What a colour says, words say too.
const (
	bold    = "\033[1m"
	dim     = "\033[2m"
	reverse = "\033[7m"
	red     = "\033[31m"
	green   = "\033[32m"
	yellow  = "\033[33m"
	normal  = "\033[0m"
)

// styled puts a style around a text.
func styled(style, text string) string { return style + text + normal }

// unstyled takes the styles away.
func unstyled(line string) string {
	var b strings.Builder
	escape := false
	for _, r := range line {
		switch {
		case escape:
			escape = !unicode.IsLetter(r)
		case r == '\033':
			escape = true
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// pad brings a text to width columns, cut in its middle or filled up.
func pad(s string, width int) string {
	r := []rune(cli.Printable(s))
	if len(r) > width && width > 2 {
		head := width / 2
		r = append(append(append([]rune{}, r[:head]...), '~'), r[len(r)-(width-head-1):]...)
	}
	return string(r) + strings.Repeat(" ", max(0, width-len(r)))
}

// lines returns the page. A height of 0 is no bound.
func (m *model) lines(width, height int, now time.Time) []string {
	all := m.head(width, now)
	room := math.MaxInt
	if height > 0 {
		room = max(1, height-len(all)-1)
	}
	if m.open {
		all = append(all, m.openLines(width, room, now)...)
	} else {
		all = append(all, m.listLines(width, room, now)...)
	}
	if m.still {
		return all
	}
	for len(all) < height-1 {
		all = append(all, "")
	}
	return append(all[:max(0, height-1)], m.foot(width))
}

// head says what the registry is and how it fares.
func (m *model) head(width int, now time.Time) []string {
	r := &m.registry
	state := styled(green, admincmd.StateText(r))
	if r.Draining || !r.Ready {
		state = styled(red, admincmd.StateText(r))
	}
	left := fmt.Sprintf("%s  %s  up %s, %s, %s", styled(bold, cli.Printable(r.Name)), state,
		admincmd.Span(now.Sub(r.Started)), cli.Printable(r.Version), cli.Printable(r.Store))
	if n := len(r.Servers); n > 1 {
		left += fmt.Sprintf(", one of %d servers", n)
	}
	lines := []string{leftRight(left, now.Format(time.TimeOnly), width)}
	if m.trouble != nil {
		lines = append(lines, styled(red, "no news: "+cli.Printable(m.trouble.Error())))
	}
	lines = append(lines,
		fmt.Sprintf("%s: %s", styled(bold, admincmd.Count(r.Clusters, "cluster")), m.statesText()),
		fmt.Sprintf("%s, %s, %d waiting, %s", admincmd.Count(r.Nodes, "node"), admincmd.Count(r.Sessions, "session"), r.Waiting, admincmd.Bytes(r.Bytes)))
	if !m.still {
		lines[len(lines)-1] += fmt.Sprintf(", %s changes/s, %s formed/s", rateText(m.changes.rate(now)), rateText(m.formed.rate(now)))
	}
	lines = append(lines, m.formationLines()...)
	return append(append(lines, m.limitLines(width)...), "")
}

// leftRight puts one text at the beginning of a line, and the other at its end.
func leftRight(left, right string, width int) string {
	space := width - len([]rune(unstyled(left))) - len([]rune(right))
	if space < 1 {
		return left
	}
	return left + strings.Repeat(" ", space) + styled(dim, right)
}

func rateText(rate float64) string {
	if rate >= 100 {
		return fmt.Sprintf("%.0f", rate)
	}
	return fmt.Sprintf("%.1f", rate)
}

func (m *model) statesText() string {
	var parts []string
	for _, s := range api.States() {
		parts = append(parts, fmt.Sprintf("%d %s", m.registry.ByState[s], s))
	}
	return strings.Join(parts, ", ")
}

// formationLines says how long clusters took to form, by size.
func (m *model) formationLines() []string {
	const most = 3
	var lines []string
	for i := range m.registry.Formations {
		f := &m.registry.Formations[i]
		if f.Count == 0 || len(lines) == most {
			continue
		}
		lines = append(lines, fmt.Sprintf("  of %s %s %s %s %s", pad(f.Sizes, 8), pad(fmt.Sprintf("%d formed", f.Count), 14),
			pad("half within "+admincmd.Within(f, 0.5), 20), pad("99 % within "+admincmd.Within(f, 0.99), 21), m.spark(f.Counts)))
	}
	return lines
}

// spark draws numbers as bars beside each other.
func (m *model) spark(counts []uint64) string {
	bars := []rune(" ▁▂▃▄▅▆▇█")
	if m.plain {
		bars = []rune(" .:-=+*#@")
	}
	most := uint64(1)
	for _, n := range counts {
		most = max(most, n)
	}
	var b strings.Builder
	for _, n := range counts {
		b.WriteRune(bars[int(math.Ceil(float64(n)/float64(most)*float64(len(bars)-1)))])
	}
	return b.String()
}

// limitLines tells of limits that were met, or soon will be.
func (m *model) limitLines(width int) []string {
	const (
		most = 3
		near = 0.75
	)
	var lines []string
	for i := range m.limits {
		l := &m.limits[i]
		part := 0.0
		if l.Used != nil && l.Value > 0 {
			part = float64(*l.Used) / float64(l.Value)
		}
		if part < near && l.Refused == 0 || len(lines) == most {
			continue
		}
		lines = append(lines, m.limitLine(l, part, width))
	}
	return lines
}

func (m *model) limitLine(l *api.Limit, part float64, width int) string {
	text := "  limit " + pad(l.Name, min(30, max(12, width-50)))
	if l.Used != nil {
		text += fmt.Sprintf(" %s %d/%d", m.bar(part, 10), *l.Used, l.Value)
	}
	if l.By != "" {
		text += " by " + cli.Printable(l.By)
	}
	if l.Refused > 0 {
		text += styled(yellow, fmt.Sprintf("  refused %d", l.Refused))
	}
	return text
}

// bar draws a part of a whole.
func (m *model) bar(part float64, cells int) string {
	full, empty := m.marks()
	n := int(math.Round(min(1, part) * float64(cells)))
	return strings.Repeat(full, n) + strings.Repeat(empty, cells-n)
}

// marks are a seat that is taken and one that is not.
func (m *model) marks() (taken, free string) {
	if m.plain {
		return "#", "."
	}
	return "■", "□"
}

// maxSeats is how many seats are drawn one by one.
const maxSeats = 16

// seats draws the seats of a cluster, each in its place as long as there is room.
func (m *model) seats(c *api.Cluster) string {
	taken, free := m.marks()
	if c.Size > maxSeats {
		return m.bar(float64(c.Members)/float64(max(1, c.Size)), maxSeats)
	}
	marks := make([]string, max(0, c.Size))
	for i := range marks {
		marks[i] = free
	}
	for _, i := range c.Taken {
		if i >= 0 && i < len(marks) {
			marks[i] = taken
		}
	}
	return strings.Join(marks, "") + strings.Repeat(" ", maxSeats-len(marks))
}

// listLines is the list of clusters.
func (m *model) listLines(width, room int, now time.Time) []string {
	kind := string(m.state)
	if kind == "" {
		kind = "all"
	}
	title := fmt.Sprintf("%s clusters: %d, %s", kind, max(m.total, len(m.rows)), m.sort)
	if m.match != "" || m.typing {
		title += ", with " + cli.Printable(m.match)
	}
	name := min(48, max(8, width-maxSeats-41-len(m.stateCell(api.StateForming))))
	lines := []string{
		styled(bold, title),
		styled(dim, "  "+pad("NAME", name)+"  "+pad("SEATS", maxSeats)+"  "+pad("MEMBERS", 9)+"  "+pad("MISSING", 12)+"  "+m.stateCell("STATE")+"AGE"),
	}
	room = max(1, room-len(lines))
	selected := m.row()
	m.first = min(max(m.first, selected-room+1, 0), selected, max(0, len(m.rows)-1))
	for i := m.first; i < len(m.rows) && i-m.first < room; i++ {
		lines = append(lines, m.rowLine(i, i == selected, name, now))
	}
	if len(m.rows) == 0 {
		lines = append(lines, "  none")
	}
	return lines
}

// stateCell is the column with states, where there are several.
func (m *model) stateCell(s api.State) string {
	if m.state != "" {
		return ""
	}
	return pad(string(s), 7) + "  "
}

func (m *model) rowLine(i int, selected bool, name int, now time.Time) string {
	c := &m.rows[i]
	age := "-"
	if c.Created != nil {
		age = admincmd.Span(now.Sub(*c.Created))
	}
	mark := "  "
	if selected && !m.still {
		mark = "> "
	}
	line := mark + pad(c.Name, name) + "  " + m.seats(c) + "  " + pad(fmt.Sprintf("%d/%d", c.Members, c.Size), 9) + "  " +
		pad(admincmd.Missing(c.Taken, c.Size), 12) + "  " + m.stateCell(c.State) + age
	if selected && !m.still {
		return styled(reverse, line)
	}
	return line
}

// openLines is one cluster.
func (m *model) openLines(width, room int, now time.Time) []string {
	d := m.detail
	switch {
	case d == nil && m.gone:
		return []string{styled(red, "the cluster is no more")}
	case d == nil:
		return []string{"…"}
	}
	owner := "open"
	if d.Owner != "" {
		owner = "owner " + cli.Printable(d.Owner)
	}
	lines := []string{
		styled(bold, cli.Printable(d.Name)) + "  " + d.ID,
		fmt.Sprintf("%s  %s, %s, %d waiting, epoch %d, revision %d", m.seats(&d.Cluster), d.State,
			view.CountMembers(d.Members, d.Size), d.Waiting, d.Epoch, d.Revision),
		owner + timesText(d, now),
	}
	if m.gone {
		lines = append(lines, styled(red, "the cluster is no more; this is how it was last seen"))
	}
	if d.Members < d.Size {
		lines = append(lines, styled(yellow, "missing: index "+admincmd.Missing(d.Taken, d.Size)))
	}
	lines = append(lines, "")
	room = max(1, room-len(lines))
	return append(lines, m.memberLines(d.Seats, width, room, now)...)
}

func timesText(d *api.ClusterDetail, now time.Time) string {
	text := ""
	if d.Created != nil {
		text += ", created " + admincmd.Span(now.Sub(*d.Created)) + " ago"
	}
	if d.Changed != nil {
		text += ", changed " + admincmd.Span(now.Sub(*d.Changed)) + " ago"
	}
	if d.Formed != nil {
		text += ", formed in " + admincmd.Span(time.Duration(*d.Formed)*time.Millisecond)
	}
	return text
}

// memberLines lists members, from the one that was scrolled to.
func (m *model) memberLines(seats []api.Member, width, room int, now time.Time) []string {
	name := min(32, max(8, (width-36)/2))
	where := min(48, max(8, width-36-name))
	lines := []string{styled(dim, pad("INDEX", 6)+pad("NAME", name)+"  "+pad("ENDPOINTS", where)+"  "+pad("JOINED", 7)+pad("SEEN", 7)+"DUE IN")}
	m.scroll = min(m.scroll, max(0, len(seats)-room+1))
	for i := m.scroll; i < len(seats) && len(lines) < room; i++ {
		s := &seats[i]
		lines = append(lines, pad(fmt.Sprint(s.Index), 6)+pad(s.Name, name)+"  "+pad(strings.Join(s.Endpoints, ","), where)+"  "+
			pad(since(s.Joined, now), 7)+pad(since(s.Seen, now), 7)+dueText(s.Due, now))
	}
	return lines
}

func since(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return admincmd.Span(max(0, now.Sub(*t)))
}

func dueText(due *time.Time, now time.Time) string {
	switch {
	case due == nil:
		return "-"
	case now.After(*due):
		return styled(red, "over")
	}
	return admincmd.Span(due.Sub(now))
}

// foot says which keys there are.
func (m *model) foot(width int) string {
	text := "q quit  j/k move  enter open  / find  t which clusters  s sort"
	switch {
	case m.typing:
		text = "find: " + cli.Printable(m.match) + "_   enter done, escape all"
	case m.open:
		text = "q quit  j/k scroll  escape back"
	}
	return styled(reverse, cli.CutStyled(text+strings.Repeat(" ", width), width))
}
