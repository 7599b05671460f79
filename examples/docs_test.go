package examples

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestDocs runs every command in README and docs as it stands there. In front of each
// block of commands stands a comment that nobody sees who reads the page:
//
//	<!-- run: MACHINE… [, stays] [, until TEXT] [, pasted] [, copies] [, stops MACHINE…] -->
//
// MACHINE is where it runs: here, source (in a copy of the repository), or one of those
// that the page names; several run it at the same time. A block that stays goes on running
// until the end of the page, and the next one begins when its output has TEXT. In a block
// of the console kind lines with $ are commands and the others what they print; one that
// is pasted runs the command that the block before it has printed, and in one that copies
// each line that a block before it has printed for that, and that the page may shorten with
// …, is run as it was printed. One that stops others ends what goes on running on those
// machines first, as Ctrl-C there does.
//
// A page that goes on where another one ends says so, and that one is run before it. What a
// page needs and takes for granted is in a comment of its own:
//
//	<!-- after: PAGE -->
//
//	<!-- prepare: MACHINE… [, stays] [, until TEXT]
//	COMMANDS
//	-->
func TestDocs(t *testing.T) {
	ran := 0
	for _, page := range append(docPages(t), "../README.md") {
		blocks := readBlocks(t, page)
		ran += len(blocks)
		if len(blocks) == 0 {
			continue
		}
		blocks = append(blocksBefore(t, page), blocks...)
		t.Run(strings.TrimPrefix(strings.TrimPrefix(page, "../"), "docs/"), func(t *testing.T) { runPage(t, blocks) })
	}
	if ran < 50 {
		t.Errorf("only %d blocks of commands in all pages", ran)
	}
}

// docPages returns the pages in docs, wherever they lie there.
func docPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir("../docs", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".venv" || name == "_build"):
			return fs.SkipDir
		case filepath.Ext(name) == ".md":
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// blocksBefore returns the blocks of the pages that a page goes on from.
func blocksBefore(t *testing.T, page string) []*block {
	t.Helper()
	_, rest, _ := strings.Cut(readPage(t, page), "<!-- after: ")
	name, _, found := strings.Cut(rest, " -->")
	if !found {
		return nil
	}
	before := filepath.Join(filepath.Dir(page), name)
	return append(blocksBefore(t, before), readBlocks(t, before)...)
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is one block of commands.
type block struct {
	at       string // page and line
	machines []string
	stays    bool
	until    string
	pasted   bool
	copies   bool
	stops    []string
	script   string
	prints   []string // lines that it has to print, with … for anything
}

// readBlocks returns the blocks of commands in a page, each of which has to say how it is
// run.
func readBlocks(t *testing.T, page string) []*block {
	t.Helper()
	lines := strings.Split(readPage(t, page), "\n")
	var blocks []*block
	for i := 0; i < len(lines); i++ {
		if how, prepares := strings.CutPrefix(lines[i], "<!-- prepare: "); prepares {
			end := i + slices.Index(lines[i:], "-->")
			blocks = append(blocks, parseBlock(t, fmt.Sprintf("%s:%d", page, i+1), "<!-- run: "+how+" -->", lines[i+1:max(i+1, end)], false))
			continue
		}
		kind, fenced := strings.CutPrefix(lines[i], "```")
		if !fenced {
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if kind == "sh" || kind == "console" {
			b := parseBlock(t, fmt.Sprintf("%s:%d", page, i+1), lines[max(0, i-1)], lines[i+1:end], kind == "console")
			blocks = append(blocks, b)
		}
		i = end
	}
	return blocks
}

func parseBlock(t *testing.T, at, comment string, lines []string, console bool) *block {
	t.Helper()
	how, ok := strings.CutPrefix(comment, "<!-- run: ")
	how, closed := strings.CutSuffix(how, " -->")
	if !ok || !closed {
		t.Fatalf("%s: no comment before it says how it is run", at)
	}
	b := &block{at: at}
	for i, word := range strings.Split(how, ", ") {
		until, isUntil := strings.CutPrefix(word, "until ")
		stops, isStops := strings.CutPrefix(word, "stops ")
		switch {
		case i == 0:
			b.machines = strings.Fields(word)
		case isUntil:
			b.until = until
		case isStops:
			b.stops = strings.Fields(stops)
		case word == "stays":
			b.stays = true
		case word == "pasted":
			b.pasted = true
		case word == "copies":
			b.copies = true
		default:
			t.Fatalf("%s: %q", at, word)
		}
	}
	if !console {
		b.script = strings.Join(lines, "\n")
		return b
	}
	for _, line := range lines {
		if typed, ok := strings.CutPrefix(line, "$ "); ok {
			b.script += typed + "\n"
		} else if line != "" {
			b.prints = append(b.prints, line)
		}
	}
	return b
}

// page is one page under way.
type page struct {
	*network
	staying []*session
	running []*session
}

// session is a block that runs on one machine.
type session struct {
	*block
	machine string
	cmd     *exec.Cmd
	out     *output
}

// runPage runs the blocks in their order, on the machines of the page.
func runPage(t *testing.T, blocks []*block) {
	p := &page{network: newNetwork(t, machinesOf(blocks)...)}
	p.install(t)
	t.Cleanup(p.stop)
	for _, b := range blocks {
		p.run(t, b)
	}
}

// machinesOf returns the machines that a page names; those called db1 to db3 have the
// addresses 192.0.2.1 to 3.
func machinesOf(blocks []*block) []string {
	names := []string{"db1", "db2", "db3"}
	seen := map[string]bool{"db1": true, "db2": true, "db3": true}
	for _, b := range blocks {
		for _, name := range b.machines {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// install puts what a user has onto each machine: the program, but for where the page
// itself says how to install that, and stand-ins for commands that would leave this
// machine or change it.
func (p *page) install(t *testing.T) {
	t.Helper()
	stand := map[string]string{
		"sudo":    "exec \"$@\"\n",
		"apt-get": "shift; for package; do grep -q \"[:,]$package\\b\" " + absolute(t, "../Makefile") + " || exit 1; done\n",
		"nats":    natsRTT,
		"scp":     "from=$1; exec cp " + filepath.Dir(p.machines["db1"].dir) + "/\"${from%%:*}\"/lib/\"${from#*:/var/lib/}\" \"$2\"\n",
	}
	for name, m := range p.machines {
		for command, script := range stand {
			if err := os.WriteFile(filepath.Join(m.dir, "bin", command), []byte("#!/bin/bash\n"+script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if name == "source" {
			copySource(t, filepath.Join(m.dir, "home"))
		}
	}
}

// natsRTT stands in for the command line of NATS, which Debian does not have. It is strict
// about its flags, and speaks with the real server.
const natsRTT = `exec python3 - "$@" <<'END'
import argparse, socket, ssl, sys, time, urllib.parse

flags = argparse.ArgumentParser(allow_abbrev=False)
for flag in "--server", "--tlsca", "--tlscert", "--tlskey":
    flags.add_argument(flag, required=True)
flags.add_argument("command", choices=["rtt"])
args = flags.parse_args()
url = urllib.parse.urlparse(args.server)
assert url.scheme == "tls", url
raw = socket.create_connection((url.hostname, url.port), timeout=10)
while raw.recv(1) != b"\n":
    pass
context = ssl.create_default_context(cafile=args.tlsca)
context.load_cert_chain(args.tlscert, args.tlskey)
tls = context.wrap_socket(raw, server_hostname=url.hostname)
begun = time.monotonic()
tls.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
if not tls.recv(6).startswith(b"PONG"):
    sys.exit("no PONG")
print(f"{args.server}:\n\n   {url.hostname}: {(time.monotonic() - begun) * 1e6:.2f}µs")
END
`

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// copySource copies what the program is built from.
func copySource(t *testing.T, to string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", `cp ../go.mod ../go.sum ../*.go "$0" && cd .. && cp -r client cmd identity internal keys launch regcred ticket "$0"`, to).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// run runs one block on all its machines at once.
func (p *page) run(t *testing.T, b *block) {
	t.Helper()
	for _, name := range b.stops {
		p.stopOn(t, name)
	}
	script := b.script
	if b.pasted {
		script = p.printedCommand(t)
	}
	if b.copies {
		script = p.copied(t, script)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(b.machines))
	for i, name := range b.machines {
		s := &session{block: b, machine: name, cmd: p.machines[name].shell(t, script), out: new(output)}
		s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
		if b.stays {
			p.stay(t, s)
			continue
		}
		wg.Go(func() {
			err := s.cmd.Run()
			errs[i] = errors.Join(err, s.checkOutput())
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s on %s: %w\n%s\n%s", b.at, name, errs[i], script, s.out)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, s := range p.staying {
		if s.block == b && b.until != "" {
			until(t, b.at+": "+b.until, func() error { return s.has(b.until) })
		}
		if err := s.checkOutput(); s.block == b && err != nil {
			t.Fatalf("%s: %v\n%s", b.at, err, s.out)
		}
	}
}

func (p *page) stay(t *testing.T, s *session) {
	t.Helper()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.staying = append(p.staying, s)
}

// stopOn ends what stays on one machine, of which there has to be something.
func (p *page) stopOn(t *testing.T, machine string) {
	t.Helper()
	var rest []*session
	for _, s := range p.staying {
		if s.machine != machine {
			rest = append(rest, s)
			continue
		}
		_ = s.cmd.Cancel()
		if err := s.cmd.Wait(); err != nil && s.cmd.ProcessState == nil {
			t.Errorf("%s: %v", s.at, err)
		}
	}
	if len(rest) == len(p.staying) {
		t.Errorf("nothing runs on %s that could be stopped", machine)
	}
	p.staying = rest
}

// stop ends what stays, as its user would.
func (p *page) stop() {
	for _, s := range p.staying {
		_ = s.cmd.Cancel()
	}
	for _, s := range p.staying {
		err := s.cmd.Wait()
		if p.t.Failed() {
			p.t.Logf("%s: %v\n%s", s.at, err, s.out)
		}
	}
}

func (s *session) has(text string) error {
	if !strings.Contains(s.out.String(), text) {
		return errors.New("has not come yet")
	}
	return nil
}

// printedCommand returns the command that the last session has printed for pasting.
func (p *page) printedCommand(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(p.staying[len(p.staying)-1].out.String(), "talk to it with\n\n")
	command, _, closed := strings.Cut(rest, "\n\n")
	if !found || !closed {
		t.Fatal("nothing was printed that could be pasted")
	}
	return command
}

// copied returns a script with the lines that were printed for pasting as they were printed,
// of which there has to be one. What it keeps in /tmp is kept for this test alone.
func (p *page) copied(t *testing.T, script string) string {
	t.Helper()
	var printed []string
	for _, s := range p.staying {
		for line := range strings.Lines(s.out.String()) {
			if command, indented := strings.CutPrefix(line, "  "); indented {
				printed = append(printed, strings.TrimSpace(command))
			}
		}
	}
	lines, found := strings.Split(script, "\n"), false
	for i, line := range lines {
		whole := regexp.MustCompile("^" + pattern(line).String() + "$")
		if at := slices.IndexFunc(printed, whole.MatchString); at >= 0 && line != "" {
			lines[i], found = printed[at], true
		}
	}
	if !found {
		t.Fatalf("nothing of this was printed:\n%s", script)
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "/tmp/", `"$TMPDIR"/`)
}

// checkOutput looks for each line that the page shows. Numbers and IDs are others every
// time, and so is what depends on them: the width of columns, and the order of programs.
func (s *session) checkOutput() error {
	var errs []error
	for _, line := range s.prints {
		if !pattern(line).MatchString(s.out.String()) {
			errs = append(errs, fmt.Errorf("the page shows %q, and that was not printed", line))
		}
	}
	return errors.Join(errs...)
}

// pattern returns what a line of a page stands for.
func pattern(line string) *regexp.Regexp {
	// What changes, and what it may be instead.
	const names, ids, home, numbers, anything = `\b(?:m|db)[0-9]+(?:-[0-9a-f]{6})?`, `\b[0-9a-f]{12,}\b`, `/home/you`, `[0-9]+(?:\.[0-9]+)*`, `…`
	const sums, cut = `\b(?:[a-z2-7]{4}-){7}[a-z2-7]{4}\b`, `[A-Za-z0-9_-]{12}…`
	changing := regexp.MustCompile(strings.Join([]string{sums, cut, names, ids, home, numbers, anything}, "|"))
	instead := func(found string) string {
		switch {
		case regexp.MustCompile(sums).MatchString(found):
			return sums
		case regexp.MustCompile(cut).MatchString(found):
			return cut
		case regexp.MustCompile(names).MatchString(found):
			return names
		case regexp.MustCompile(ids).MatchString(found):
			return `[0-9a-f]+`
		case found == home || found == anything:
			return `\S*`
		}
		return numbers
	}
	var words []string
	for _, word := range strings.Fields(line) {
		var b strings.Builder
		rest := 0
		for _, at := range changing.FindAllStringIndex(word, -1) {
			b.WriteString(regexp.QuoteMeta(word[rest:at[0]]) + instead(word[at[0]:at[1]]))
			rest = at[1]
		}
		words = append(words, b.String()+regexp.QuoteMeta(word[rest:]))
	}
	return regexp.MustCompile(strings.Join(words, `\s+`))
}
