package cli

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestParseKeys(t *testing.T) {
	for _, c := range []struct {
		read string
		end  bool
		want []Key
		left string
	}{
		{"q", false, []Key{"q"}, ""},
		{"jk", false, []Key{"j", "k"}, ""},
		{"ä", false, []Key{"ä"}, ""},
		{"\033[A\033OB\033[5~\033[H", false, []Key{KeyUp, KeyDown, KeyPageUp, KeyHome}, ""},
		{"\r\x7f\x03", false, []Key{KeyEnter, KeyBackspace, KeyInterrupt}, ""},
		{"\033", false, nil, "\033"},
		{"\033", true, []Key{KeyEscape}, ""},
		{"\033[", false, nil, "\033["},
		{"\033[1;5", false, nil, "\033[1;5"},
		{"\033[1;5C\033[200~x", false, []Key{"x"}, ""},
		{"\033\033[A", false, []Key{KeyEscape, KeyUp}, ""},
		{"\033q", false, []Key{KeyEscape, "q"}, ""},
		{"a\xc3", false, []Key{"a"}, "\xc3"},
		{"\xff\x00\x01", true, nil, ""},
	} {
		var got []Key
		left := parseKeys([]byte(c.read), c.end, func(k Key) { got = append(got, k) })
		if !slices.Equal(got, c.want) || string(left) != c.left {
			t.Errorf("%q: %q, left %q", c.read, got, left)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("q\033[A\033"))
	f.Fuzz(func(t *testing.T, read []byte) {
		left := parseKeys(read, false, func(k Key) {
			if k == "" {
				t.Error("a key without a name")
			}
		})
		if rest := parseKeys(left, true, func(Key) {}); len(rest) > 0 {
			t.Errorf("left after the end: %q", rest)
		}
	})
}

func TestCutStyled(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"\033[1mabcd\033[0m", 4, "\033[1mabcd\033[0m"},
		{"\033[1mabcd\033[0me", 2, "\033[1mab"},
		{"■□■", 2, "■□"},
		{"x", 0, ""},
	} {
		if got := CutStyled(c.line, c.width); got != c.want {
			t.Errorf("%q to %d: %q", c.line, c.width, got)
		}
	}
}

// Only lines that differ are written again.
func TestDrawWritesWhatDiffers(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	s := &Screen{out: write}
	frame := func(lines ...string) string {
		if err := s.Draw(lines); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 4096)
		n, err := read.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
	if got := frame("one", "two", "three"); !strings.Contains(got, eraseScreen) || !strings.Contains(got, "\033[3;1Hthree") {
		t.Errorf("first %q", got)
	}
	if got := frame("one", "2", "three"); strings.Contains(got, "one") || !strings.Contains(got, "\033[2;1H2"+plainStyle+eraseRest) || strings.Contains(got, "three") {
		t.Errorf("one differs: %q", got)
	}
	if got := frame("one"); !strings.Contains(got, "\033[2;1H"+plainStyle+eraseRest+"\033[3;1H"+plainStyle+eraseRest) {
		t.Errorf("two are gone: %q", got)
	}
	if got := frame(strings.Repeat("x", 100)); strings.Contains(got, eraseRest) || strings.Count(got, "x") != usualWidth {
		t.Errorf("a full line: %q", got)
	}
	s.closed = true
	if err := s.Draw([]string{"late"}); err != nil {
		t.Error(err)
	}
	write.Close()
	if rest, err := io.ReadAll(read); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

// What was drawn when the window was wider takes more rows now.
func TestRowsOf(t *testing.T) {
	for _, c := range []struct{ width, want int }{{80, 4}, {79, 4}, {40, 5}, {39, 7}, {20, 8}} {
		if got := rowsOf([]int{0, 20, 40, 79}, c.width); got != c.want {
			t.Errorf("%d columns: %d rows, want %d", c.width, got, c.want)
		}
	}
}
