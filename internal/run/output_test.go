package run

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		writes []string
		want   string
	}{
		"nothing":       {nil, ""},
		"a line":        {[]string{"a\n"}, "> a\n"},
		"in pieces":     {[]string{"a", "b", "c\nd", "\n"}, "> abc\n> d\n"},
		"several":       {[]string{"a\nb\n\nc\n"}, "> a\n> b\n> \n> c\n"},
		"no end":        {[]string{"a\nb"}, "> a\n> b\n"},
		"carriage":      {[]string{"1%\r2%\r\n"}, "> 1%\r2%\r\n"},
		"a long one":    {[]string{strings.Repeat("x", longestLine+1)}, "> " + strings.Repeat("x", longestLine) + "\n> x\n"},
		"zero and more": {[]string{"\x00\xff\n"}, "> \x00\xff\n"},
	} {
		var out bytes.Buffer
		w := NewMergers(&out)[0].Line("> ")
		for _, text := range c.writes {
			if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := out.String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Lines of several writers, on two outputs that are one screen, are never mixed.
func TestLinesAreWhole(t *testing.T) {
	var screen bytes.Buffer
	mergers := NewMergers(&screen, &screen)
	const each = 200
	var writers sync.WaitGroup
	for i := range 8 {
		w := mergers[i%2].Line("")
		text := strings.Repeat(string(rune('a'+i)), 50)
		writers.Go(func() {
			for range each {
				fmt.Fprint(w, text[:20])
				fmt.Fprintln(w, text[20:])
			}
		})
	}
	writers.Wait()
	lines := strings.Split(strings.TrimSuffix(screen.String(), "\n"), "\n")
	for _, line := range lines {
		if line != strings.Repeat(line[:1], 50) {
			t.Fatalf("mixed: %q", line)
		}
	}
	if len(lines) != 8*each {
		t.Errorf("%d lines", len(lines))
	}
}

func TestPrefixes(t *testing.T) {
	names := []string{"m0", "m10"}
	if p := Prefixes(names, false); p[0] != "m0  | " || p[1] != "m10 | " {
		t.Errorf("%q", p)
	}
	if p := Prefixes(names, true); p[0] != "\033[31mm0  | \033[0m" || p[1] != "\033[32mm10 | \033[0m" {
		t.Errorf("%q", p)
	}
	many := Prefixes(make([]string, 64), true)
	if many[0] != many[6] || many[0] == many[5] {
		t.Errorf("%q", many[:7])
	}
}
