package topcmd

import (
	"unicode"
	"unicode/utf8"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// pageMove is how far a page key moves.
const pageMove = 10

// press does what a key says, and reports whether it is to end.
func (m *model) press(k cli.Key) (quit bool) {
	switch {
	case k == cli.KeyInterrupt:
		return true
	case m.typing:
		m.typeMatch(k)
		return false
	case m.open:
		return m.pressOpen(k)
	}
	return m.pressList(k)
}

// typeMatch takes a key while somebody types what to find.
func (m *model) typeMatch(k cli.Key) {
	const longest = 64
	switch k {
	case cli.KeyEnter:
		m.typing = false
	case cli.KeyEscape:
		m.typing, m.match = false, ""
	case cli.KeyBackspace:
		_, n := utf8.DecodeLastRuneInString(m.match)
		m.match = m.match[:len(m.match)-n]
	default:
		if r, n := utf8.DecodeRuneInString(string(k)); n == len(k) && unicode.IsPrint(r) && len(m.match) < longest {
			m.match += string(k)
		}
	}
}

// moves are the keys that move, and how far. The list is never longer than that.
var moves = map[cli.Key]int{
	"j": 1, cli.KeyDown: 1, "k": -1, cli.KeyUp: -1, cli.KeyPageDown: pageMove, " ": pageMove, cli.KeyPageUp: -pageMove,
	"g": -maxRows, cli.KeyHome: -maxRows, "G": maxRows, cli.KeyEnd: maxRows,
}

func (m *model) pressList(k cli.Key) (quit bool) {
	switch k {
	case "q":
		return true
	case "/":
		m.typing = true
	case "s":
		m.sort = (m.sort + 1) % sortings
		m.arrange()
	case "t":
		m.state = nextState(m.state)
		m.rows, m.total, m.first = nil, 0, 0
	case cli.KeyEscape:
		m.match = ""
	case cli.KeyEnter:
		m.openSelected()
	}
	if by := moves[k]; by != 0 {
		m.move(by)
	}
	return false
}

// nextState goes through the states, and all of them together.
func nextState(s api.State) api.State {
	all := append([]api.State{""}, api.States()...)
	for i := range all {
		if all[i] == s {
			return all[(i+1)%len(all)]
		}
	}
	return ""
}

func (m *model) openSelected() {
	if len(m.rows) == 0 {
		return
	}
	m.selected = m.rows[m.row()].ID
	m.open, m.detail, m.gone, m.scroll = true, nil, false, 0
}

func (m *model) pressOpen(k cli.Key) (quit bool) {
	switch k {
	case "q":
		return true
	case cli.KeyEscape, cli.KeyEnter, cli.KeyBackspace, "h":
		m.open, m.detail = false, nil
	}
	m.scroll = max(0, m.scroll+moves[k])
	return false
}
