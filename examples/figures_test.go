package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFigures holds the pages with measurements against what prints them: a section that has
// a table of figures names a command.
func TestFigures(t *testing.T) {
	figures := regexp.MustCompile(`(?m)^\|.*\| *[\d~][^|]*\|`)
	prints := regexp.MustCompile("`[^`]*(?:go test|go run|make bench|xlreg bench)[^`]*`|(?m)^    go run ")
	tables := 0
	for _, page := range []string{"../docs/performance.md", "../docs/scale.md"} {
		text := readPage(t, page)
		for _, section := range regexp.MustCompile(`(?m)^## `).Split(text, -1)[1:] {
			if !figures.MatchString(section) {
				continue
			}
			tables++
			if title, _, _ := strings.Cut(section, "\n"); !prints.MatchString(section) && !strings.Contains(section, "<!-- scale: ") {
				t.Errorf("%s: no command prints the figures of %q", page, title)
			}
		}
	}
	if tables < 6 {
		t.Errorf("only %d sections with figures", tables)
	}
}

// TestNamedCommands looks for what the commands name that are too slow, or change too much, to
// be run here: targets of the Makefile, and tests and benchmarks.
func TestNamedCommands(t *testing.T) {
	targets := make(map[string]bool)
	for _, found := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(readPage(t, "../Makefile"), -1) {
		targets[found[1]] = true
	}
	tests := 0
	for _, page := range append(docPages(t), "../README.md", "../CONTRIBUTING.md", "../ARCHITECTURE.md") {
		text := strings.ReplaceAll(readPage(t, page), "\n", " ")
		for _, found := range regexp.MustCompile("[`] *make ([a-z-]+)").FindAllStringSubmatch(text, -1) {
			if !targets[found[1]] {
				t.Errorf("%s: there is no target %s", page, found[1])
			}
		}
		for _, found := range regexp.MustCompile("`(?:cd (\\S+) && |[^`]*\\b)go test ([^`]*)`").FindAllStringSubmatch(text, -1) {
			if checkGoTest(t, page, found[1], found[2]) {
				tests++
			}
		}
	}
	if tests < 15 {
		t.Errorf("only %d tests and benchmarks are named", tests)
	}
}

// checkGoTest looks for the tests or benchmarks that the arguments of go test choose, in a
// folder that they can name, and reports whether they choose any.
func checkGoTest(t *testing.T, page, folder, arguments string) bool {
	t.Helper()
	split, err := exec.Command("sh", "-c", `printf '%s\n' `+arguments).Output()
	if err != nil {
		t.Errorf("%s: %s: %v", page, arguments, err)
		return false
	}
	chosen := ""
	words := strings.Fields(string(split))
	for i, word := range words {
		switch {
		case (word == "-bench" || word == "-run") && i+1 < len(words) && words[i+1] != "^$":
			chosen, _, _ = strings.Cut(words[i+1], "/")
		case strings.HasPrefix(word, "./"):
			folder = word
		}
	}
	if chosen == "" {
		return false
	}
	names, err := regexp.Compile(chosen)
	if err != nil {
		t.Errorf("%s: %s: %v", page, arguments, err)
		return false
	}
	for _, name := range testsIn(t, filepath.Join("..", folder)) {
		if names.MatchString(name) {
			return true
		}
	}
	t.Errorf("%s: no test of %s is called %q", page, folder, chosen)
	return false
}

func testsIn(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", folder, err)
	}
	var names []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w*)\(`).FindAllSubmatch(source, -1) {
			names = append(names, string(found[1]))
		}
	}
	return names
}
