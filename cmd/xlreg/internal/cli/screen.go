package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Screen is a whole terminal, for a program that draws on it and reads keys. What was on
// the terminal before comes back when it is closed.
type Screen struct {
	in, out *os.File
	before  *term.State

	mu     sync.Mutex
	shown  []string // guarded by mu, as is all below; the lines that are on the terminal
	width  int      // for which they were drawn
	height int
	closed bool
}

// ErrNoScreen says that there is no terminal that could be drawn on.
var ErrNoScreen = errors.New("there is no terminal to draw on")

// What terminals do when they are told.
const (
	enterScreen = "\033[?1049h\033[?25l\033[?7l\033[2J" // another screen, no cursor, no wrapping
	leaveScreen = "\033[?7h\033[?25h\033[?1049l"
	beginFrame  = "\033[?2026h" // terminals that know it show a frame as a whole
	endFrame    = "\033[?2026l"
	eraseScreen = "\033[2J"
	plainStyle  = "\033[0m"
	eraseRest   = "\033[K"
)

// CanDraw reports whether a program can draw on the console's terminal and read keys.
func (c *Console) CanDraw() bool { return IsTerminal(c.In) && HasLine(c.Out) && hasKeys }

// OpenScreen takes the console's terminal over. The screen must be closed.
func OpenScreen(c *Console) (*Screen, error) {
	if !c.CanDraw() {
		return nil, ErrNoScreen
	}
	s := &Screen{in: c.In.(*os.File), out: c.Out.(*os.File)}
	before, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoScreen, err)
	}
	s.before = before
	if _, err := s.out.WriteString(enterScreen); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives the terminal back as it was. It may be called again.
func (s *Screen) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	_, err := s.out.WriteString(leaveScreen)
	return errors.Join(err, term.Restore(int(s.in.Fd()), s.before))
}

// CloseOnPanic is to be deferred by every goroutine that lives while the screen is open:
// a panic would be written where nobody can read it.
func (s *Screen) CloseOnPanic() {
	if r := recover(); r != nil {
		_ = s.Close() // there is no better end to this
		panic(r)
	}
}

// Size returns how many columns and lines there are.
func (s *Screen) Size() (width, height int) { return Width(s.out), Height(s.out) }

// Draw shows lines from the top, and nothing below them. Only those that differ from what
// is there are written, in one piece. Lines may have colours; what is too long is cut.
func (s *Screen) Draw(lines []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	var b bytes.Buffer
	b.WriteString(beginFrame)
	if width, height := s.Size(); width != s.width || height != s.height {
		s.width, s.height, s.shown = width, height, nil
		b.WriteString(eraseScreen)
	}
	for i := range max(len(lines), len(s.shown)) {
		if i >= s.height {
			break
		}
		line, columns := "", 0
		if i < len(lines) {
			line, columns = measure(lines[i], s.width)
		}
		if i < len(s.shown) && s.shown[i] == line {
			continue
		}
		fmt.Fprintf(&b, "\033[%d;1H%s%s", i+1, line, plainStyle)
		if columns < s.width { // else it would be the last column that is erased
			b.WriteString(eraseRest)
		}
		s.show(i, line)
	}
	b.WriteString(endFrame)
	_, err := s.out.Write(b.Bytes())
	return err
}

// show notes that line i is on the terminal. Lines come from the top.
func (s *Screen) show(i int, line string) {
	if i == len(s.shown) {
		s.shown = append(s.shown, line)
		return
	}
	s.shown[i] = line
}

// CutStyled cuts a line to width columns. What is between an escape and its letter takes
// none.
func CutStyled(line string, width int) string {
	cut, _ := measure(line, width)
	return cut
}

// measure cuts a line to width columns, and returns how many it has then.
func measure(line string, width int) (cut string, columns int) {
	escape := false
	for i, r := range line {
		switch {
		case escape:
			escape = !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
		case r == '\033':
			escape = true
		case columns == width:
			return line[:i], columns
		default:
			columns++
		}
	}
	return line, columns
}

// Key is a key that was pressed: the letter, or one of those below.
type Key string

// Keys that are no letters.
const (
	KeyUp        Key = "up"
	KeyDown      Key = "down"
	KeyPageUp    Key = "page up"
	KeyPageDown  Key = "page down"
	KeyHome      Key = "home"
	KeyEnd       Key = "end"
	KeyEnter     Key = "enter"
	KeyEscape    Key = "escape"
	KeyBackspace Key = "backspace"
	KeyInterrupt Key = "ctrl-c"
)

// How long reading waits for a key before it looks whether it is to end, and for the rest
// of a sequence that a key sends.
const (
	keyWait  = 100 * time.Millisecond
	restWait = 30 * time.Millisecond
)

// Keys calls f with each key that is pressed, until ctx ends or there is no more input.
func (s *Screen) Keys(ctx context.Context, f func(Key)) error {
	buffer := make([]byte, 256)
	var left []byte
	for ctx.Err() == nil {
		wait := keyWait
		if len(left) > 0 {
			wait = restWait
		}
		ready, err := waitForInput(s.in, wait)
		if err != nil {
			return err
		}
		if !ready {
			left = parseKeys(left, true, f)
			continue
		}
		n, err := s.in.Read(buffer)
		if err != nil {
			return err
		}
		left = parseKeys(append(left, buffer[:n]...), false, f)
	}
	return ctx.Err()
}

// sequences are what keys that are no letters send.
var sequences = map[string]Key{
	"\033[A": KeyUp, "\033[B": KeyDown, "\033OA": KeyUp, "\033OB": KeyDown,
	"\033[5~": KeyPageUp, "\033[6~": KeyPageDown,
	"\033[H": KeyHome, "\033[F": KeyEnd, "\033[1~": KeyHome, "\033[4~": KeyEnd, "\033OH": KeyHome, "\033OF": KeyEnd,
	"\r": KeyEnter, "\n": KeyEnter, "\x7f": KeyBackspace, "\b": KeyBackspace, "\x03": KeyInterrupt,
}

// parseKeys calls f with the keys in what was read, and returns the beginning of one that
// is not whole. At the end, which is after a pause, an escape is the key of that name.
func parseKeys(read []byte, end bool, f func(Key)) (left []byte) {
	for len(read) > 0 {
		n := keyLen(read)
		if n == 0 && !end {
			return read
		}
		if n == 0 {
			n = 1
		}
		if key := keyOf(string(read[:n])); key != "" {
			f(key)
		}
		read = read[n:]
	}
	return nil
}

// keyLen returns how many bytes the first key has; 0 if it is not whole.
func keyLen(read []byte) int {
	switch {
	case read[0] != '\033' && !utf8.FullRune(read):
		return 0
	case read[0] != '\033':
		_, n := utf8.DecodeRune(read)
		return n
	case len(read) == 1:
		return 0
	case read[1] == 'O' && len(read) > 2:
		return 3
	case read[1] != '[' && read[1] != 'O': // escape, and then something else
		return 1
	}
	end := bytes.IndexFunc(read[2:], func(r rune) bool { return r >= '@' && r <= '~' })
	if end < 0 {
		return 0
	}
	return 2 + end + 1
}

// keyOf names a key; what nobody needs has no name.
func keyOf(text string) Key {
	if key, ok := sequences[text]; ok {
		return key
	}
	switch {
	case text == "\033":
		return KeyEscape
	case strings.HasPrefix(text, "\033") || text[0] < ' ' || !utf8.ValidString(text):
		return ""
	}
	return Key(text)
}
