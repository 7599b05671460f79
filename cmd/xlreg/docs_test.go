package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/recipecmd"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/launch"
)

// readReference returns what a page of the reference says below each of its headings, the
// title's being what comes before them.
func readReference(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/" + name)
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for section := range strings.SplitSeq(string(text), "\n## ") {
		title, rest, _ := strings.Cut(section, "\n")
		sections[strings.TrimPrefix(title, "# ")] = rest
	}
	return sections
}

// firstCells returns what stands as code in the first column of a section's tables.
func firstCells(section string) []string {
	var cells []string
	for _, found := range regexp.MustCompile("(?m)^\\| (`[^|]*`)[^|`]*\\|").FindAllStringSubmatch(section, -1) {
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(found[1], -1) {
			cells = append(cells, code[1])
		}
	}
	return cells
}

func checkSame(t *testing.T, what string, page, program []string) {
	t.Helper()
	page, program = slices.Sorted(slices.Values(page)), slices.Sorted(slices.Values(program))
	if !slices.Equal(page, program) {
		t.Errorf("%s: the page has %q, the program %q", what, page, program)
	}
}

func TestReferenceOfExitCodes(t *testing.T) {
	var all []string
	for _, code := range []int{exitDone, exitFailed, exitUsage, exitDeadline, exitInterrupted} {
		all = append(all, strconv.Itoa(code))
	}
	page := readReference(t, "exit-codes.md")["Exit codes"]
	checkSame(t, "codes", firstCells(page), append(all, "126", "127", "128")) // what a COMMAND adds
}

func TestReferenceOfEnvironment(t *testing.T) {
	sections := readReference(t, "environment.md")
	told := launch.EnvNames()
	for _, line := range changeEnv(new(client.Change)) {
		if name, value, _ := strings.Cut(line, "="); value == "" && line != noTicket {
			told = append(told, name)
		}
	}
	checkSame(t, "told", firstCells(sections["What programs are told"]), told)

	flags := make(map[string]bool)
	collectFlags(wholeProgram(), flags)
	rows := regexp.MustCompile("(?m)^\\| `(XLREG_[A-Z_]+)` \\| `--([a-z-]+)` ").FindAllStringSubmatch(sections["Flags"], -1)
	if len(rows) == 0 || len(rows) != len(firstCells(sections["Flags"])) {
		t.Errorf("%d rows name a variable and its flag", len(rows))
	}
	for _, row := range rows {
		if !flags[row[2]] || row[1] != "XLREG_"+strings.ToUpper(strings.ReplaceAll(row[2], "-", "_")) {
			t.Errorf("no flag --%s is %s", row[2], row[1])
		}
	}

	others := firstCells(sections["Others"])
	for _, name := range readVariables(t) {
		if !slices.Contains(others, name) && !strings.Contains(sections["Flags"], "`"+name+"`") {
			t.Errorf("the program reads %s, and the page does not say so", name)
		}
	}
}

func collectFlags(cmd *cobra.Command, into map[string]bool) {
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) { into[f.Name] = true })
	}
	for _, sub := range cmd.Commands() {
		collectFlags(sub, into)
	}
}

// readVariables returns the variables that the source of the program asks for by name.
func readVariables(t *testing.T) []string {
	t.Helper()
	asks := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("([A-Z_]+)"\)`)
	found := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, ask := range asks.FindAllSubmatch(source, -1) {
			found[string(ask[1])] = true
		}
		return err
	})
	if err != nil || len(found) < 3 {
		t.Fatalf("%d variables: %v", len(found), err)
	}
	return slices.Collect(maps.Keys(found))
}

// Each section of the page is about one type, and lists its members as they are spelled.
func TestReferenceOfJSON(t *testing.T) {
	types := map[string]any{
		"Errors": errorJSON{}, "Waits": waitingJSON{}, "Clusters": view.Cluster{}, "Rosters": view.Roster{},
		"States": view.State{}, "Members": view.Member{}, "Changes": changeJSON{}, "Members in brief": briefJSON{},
		"Tickets": ticketJSON{}, "Orders": orderJSON{}, "Comparisons": comparisonJSON{}, "Signed rosters": documentJSON{},
		"Credentials": credJSON{}, "Nodes": nodeJSON{}, "Backups": reportJSON{}, "Stores": transferJSON{},
		"Next keys": nextKeyJSON{}, "Versions": versionJSON{}, "Recipes": recipecmd.Recipe{}, "Recipe files": recipecmd.Source{},
		"Runs": rundir.Status{}, "Members of runs": rundir.Member{},
	}
	sections := readReference(t, "json.md")
	for title, section := range sections {
		if _, known := types[title]; !known && strings.Contains(section, "| member |") {
			t.Errorf("what %q is about is not known here", title)
		}
	}
	for title, v := range types {
		var members, optional []string
		for field := range reflect.TypeOf(v).Fields() {
			name, rest, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			members = append(members, name)
			if rest == "omitempty" {
				optional = append(optional, name)
			}
		}
		checkSame(t, title, firstCells(sections[title]), members)
		var marked []string
		for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\? ").FindAllStringSubmatch(sections[title], -1) {
			marked = append(marked, row[1])
		}
		checkSame(t, title+", left out", marked, optional)
	}
}

// The files of a registry, a node and a member are those that the page lists.
func TestReferenceOfFiles(t *testing.T) {
	dir := t.TempDir()
	registry, node := filepath.Join(dir, "registry"), filepath.Join(dir, "node")
	keptFile := regexp.MustCompile("^(seats|rosters)/[0-9a-f]{64}@[0-9a-f]{32}[.](json|saved)$")
	stop := serveHere(t, registry)
	seen := map[string][]string{"A registry's directory": filesIn(t, registry)}
	invoke(t, "join", "web", "--create", "--size", "2", "--registry", filepath.Join(registry, "regCred.dat"),
		"--node", node, "--name", "a", "--endpoint", "127.0.0.1:7001", "--dir", filepath.Join(node, "clusters", "web"))
	stop()
	invoke(t, "registry", "next-key", registry)
	seen["A registry's directory"] = append(seen["A registry's directory"], filesIn(t, registry)...)
	for _, path := range filesIn(t, node) {
		section := "A node's directory"
		if file, in := strings.CutPrefix(path, "clusters/web/"); in {
			section, path = "What a program is given", file
		}
		seen[section] = append(seen[section], keptFile.ReplaceAllString(path, "$1/ID@PLACE.$2"))
	}
	seen["A run's directory"] = filesOfRun(t)
	sections := readReference(t, "files.md")
	for title, files := range seen {
		slices.Sort(files)
		listed := slices.DeleteFunc(firstCells(sections[title]), func(cell string) bool { return strings.HasSuffix(cell, "/") })
		checkSame(t, title, listed, slices.Compact(files))
	}
}

// filesOfRun returns what is in the directory of a run that was started twice, beside the
// directories of its members.
func filesOfRun(t *testing.T) []string {
	t.Helper()
	dir, sockets := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "sockets")
	for range 2 {
		invoke(t, "run", "-n", "1", "--dir", dir, "--quiet", "--", "find", dir, "-type", "s", "-fprintf", sockets, "%P\n")
	}
	open, err := os.ReadFile(sockets)
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(open))
	for _, path := range filesIn(t, dir) {
		if !strings.HasPrefix(path, "m0/") {
			files = append(files, strings.ReplaceAll(path, "m0", "NAME"))
		}
	}
	return files
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// invoke runs a command that has to succeed.
func invoke(t *testing.T, args ...string) {
	t.Helper()
	var errs bytes.Buffer
	if code := execute(t.Context(), append([]string{"xlreg"}, args...), nil, io.Discard, &errs); code != exitDone {
		t.Fatalf("%q: exit code %d: %s", args, code, &errs)
	}
}

// serveHere runs a registry in this process until stop is called, or the test ends.
func serveHere(t *testing.T, dir string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log, written := io.Pipe()
	var serving sync.WaitGroup
	serving.Go(func() {
		defer written.Close()
		execute(ctx, []string{"xlreg", "serve", "--data", dir, "--listen", "127.0.0.1:0"}, nil, io.Discard, written)
	})
	lines := bufio.NewScanner(log)
	var said strings.Builder
	for lines.Scan() && !strings.Contains(lines.Text(), "registry is open") {
		said.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(lines.Text(), "registry is open") {
		t.Fatalf("the registry did not open: %s", said.String())
	}
	serving.Go(func() { _, _ = io.Copy(io.Discard, log) })
	stop = func() {
		cancel()
		serving.Wait()
	}
	t.Cleanup(stop)
	return stop
}
