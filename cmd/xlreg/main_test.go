package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/guard"
)

func TestExitCode(t *testing.T) {
	cases := []struct {
		err  error
		want int
	}{
		{errors.New("anything"), exitFailed},
		{xlreg.ErrClusterFull, exitFailed},
		{context.DeadlineExceeded, exitFailed}, // of a request, which the user did not bound
		{afterWait(xlreg.ErrClusterFull), exitFailed},
		{afterWait(fmt.Errorf("x: %w", context.DeadlineExceeded)), exitDeadline},
		{afterWait(&client.IncompleteError{Err: context.DeadlineExceeded}), exitDeadline},
		{afterWait(&client.IncompleteError{Err: context.Canceled}), exitInterrupted},
		{fmt.Errorf("x: %w", cli.UsageError(errors.New("y"))), exitUsage},
		{fmt.Errorf("x: %w", context.Canceled), exitInterrupted},
	}
	for _, c := range cases {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	cases := []struct {
		err  error
		want string
	}{
		{errors.New("one"), "one"},
		{errors.Join(errors.New("one"), errors.New("two")), "one; two"},
		{errors.New("a\x1b[2J\tb\u202ec"), "a?[2J?b?c"},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), "dial: time is up"},
		{fmt.Errorf("wait: %w", context.Canceled), "interrupted"},
		{xlreg.ErrClusterFull, "cluster is full; take another cluster, or let a member leave"},
		{fmt.Errorf("x: %w", refused), "x: dial tcp: connection refused; see that the registry runs there, and that --registry is the right one"},
	}
	for _, c := range cases {
		if got := oneLine(c.err); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// Every advice is about an error that no earlier one hides.
func TestAdvicesAreReached(t *testing.T) {
	for _, a := range advices {
		if got := adviceOn(fmt.Errorf("x: %w", a.about)); got != a.text {
			t.Errorf("%v: %q hides %q", a.about, got, a.text)
		}
	}
}

func TestInterruptedRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{"demo", "get web --wait 60s --registry xlreg://127.0.0.1:1/?sig=" + strings.Repeat("A", 43)} {
		var out, errs bytes.Buffer
		code := execute(ctx, append([]string{"xlreg"}, strings.Fields(args)...), nil, &out, &errs)
		if code != exitInterrupted || errs.String() != "xlreg: interrupted\n" || out.Len() > 0 {
			t.Errorf("%s: exit code %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
}

func TestStopBeforeOpen(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := execute(ctx, []string{"xlreg", "serve", "--ephemeral", "--data", t.TempDir()}, nil, &out, &errs)
	if code != exitDone || out.Len() > 0 || errs.Len() > 0 {
		t.Errorf("exit code %d, %q, %q", code, out.String(), errs.String())
	}
}

func TestFitOpenFiles(t *testing.T) {
	cases := []struct {
		name                           string
		connections, loopback, allowed int
		known                          bool
		wantConnections, wantLoopback  int
	}{
		{"unknown", 16384, 12288, 0, false, 16384, 12288},
		{"plenty", 16384, 12288, 1 << 20, true, 16384, 12288},
		{"just enough", 100, 75, 107 + cli.SpareFiles, true, 100, 75},
		{"one too few", 100, 75, 106 + cli.SpareFiles, true, 99, 74},
		{"few", 16384, 12288, 1024, true, 930, 697},
		{"few, and less on loopback", 16384, 10, 1024, true, 930, 10},
		{"hardly any", 16384, 12288, 8, true, 1, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			cfg := &serveConfig{
				limits: guard.Limits{Connections: c.connections, ConnectionsLoopback: c.loopback},
				log:    slog.New(slog.NewTextHandler(&log, nil)),
			}
			cfg.fitOpenFiles(c.allowed, c.known)
			if l := cfg.limits; l.Connections != c.wantConnections || l.ConnectionsLoopback != c.wantLoopback {
				t.Errorf("got %d and %d", l.Connections, l.ConnectionsLoopback)
			}
			if warned := log.Len() > 0; warned != (c.wantConnections != c.connections) {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

func TestFitMemory(t *testing.T) {
	for name, c := range map[string]struct {
		allowed                       int64
		by                            string
		ephemeral                     bool
		wantConnections, wantLoopback int
		wantData                      int
	}{
		"unknown":          {0, "", true, 16384, 12288, 65536},
		"plenty":           {8 << 30, "x", false, 16384, 12288, 65536},
		"just enough":      {2<<30 + 64<<20, "x", false, 16384, 12288, 65536},
		"one too few":      {2<<30 + 64<<20 - 1, "x", false, 16383, 12287, 65536},
		"little":           {256 << 20, "x", false, 1536, 1152, 65536},
		"hardly any":       {16 << 20, "x", false, 1, 1, 65536},
		"kept in memory":   {8 << 30, "x", true, 16384, 12288, 2048},
		"little, for both": {256 << 20, "x", true, 1024, 768, 64},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cfg := &serveConfig{
				limits: guard.DefaultLimits(), ephemeral: c.ephemeral, log: slog.New(slog.NewTextHandler(&log, nil)),
			}
			cfg.fitMemory(c.allowed, c.by)
			if l := cfg.limits; l.Connections != c.wantConnections || l.ConnectionsLoopback != c.wantLoopback || l.DataMiB != c.wantData {
				t.Errorf("got %d and %d connections, %d MiB of data", l.Connections, l.ConnectionsLoopback, l.DataMiB)
			}
			if warned := log.Len() > 0; warned != (c.wantConnections != 16384) {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

func TestBannerNamesTheProgram(t *testing.T) {
	for program, want := range map[string]string{"xlreg": "\n  xlreg join", "./bin/xlreg": "\n  ./bin/xlreg join"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var errs bytes.Buffer
		out := &untilWritten{then: cancel}
		if code := execute(ctx, []string{program, "serve", "--dev"}, nil, out, &errs); code != exitDone {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: banner %q", program, out.String())
		}
	}
}

// untilWritten takes what is written and then calls a function.
type untilWritten struct {
	bytes.Buffer
	then func()
}

func (w *untilWritten) Write(p []byte) (int, error) {
	defer w.then()
	return w.Buffer.Write(p)
}

// What a script reads must not be cut short in silence.
func TestOutputThatCannotBeWritten(t *testing.T) {
	for _, args := range []string{"version", "version -o json", "demo -n 2 -o json"} {
		var errs bytes.Buffer
		code := execute(t.Context(), append([]string{"xlreg"}, strings.Fields(args)...), nil, full{}, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), "no room") {
			t.Errorf("%s: exit code %d, %q", args, code, errs.String())
		}
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "out", Err: errors.New("no room")}
}

// Names of nodes are those of their machines, made valid.
func TestHostName(t *testing.T) {
	for host, want := range map[string]xlreg.Name{
		"web1": "web1", "web1.example.org": "web1", "3f2a9c1b77de": "h-3f2a9c1b77de", "9d00aa11bb22": "h-9d00aa11bb22",
		"-x-": "x", "a b": "a-b", "größe": "gr-e", "": "node", "...": "node", "---": "node", "localhost": "localhost",
		strings.Repeat("a", 100): xlreg.Name(strings.Repeat("a", 48)),
	} {
		got, telling := hostName(host)
		if got != want && host != "größe" || got.Validate() != nil || telling != (want != "node" && want != "localhost") {
			t.Errorf("%q: %q, %v", host, got, telling)
		}
	}
}

func TestWantsJSON(t *testing.T) {
	for args, want := range map[string]bool{
		"get x -o json": true, "-ojson get": true, "-o=json": true, "--output json": true, "--output=json x": true,
		"-o table": false, "-o": false, "run -- x -o json": false, "-o json -o table": false, "": false, "--output-x=json": false,
	} {
		if got := wantsJSON(strings.Fields(args)); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
	t.Setenv("XLREG_OUTPUT", "json")
	if !wantsJSON(nil) || wantsJSON([]string{"-o", "table"}) {
		t.Error("the environment counts unless a flag says otherwise")
	}
}

// No word of Go's library is in what people read about their flags.
func TestFlagErrorsAreInPlainWords(t *testing.T) {
	for args, want := range map[string]string{
		"create web --size x":                    `--size: "x": want a whole number`,
		"create web --size 99999999999999999999": `--size: "99999999999999999999": want a whole number`,
		"get web --wait soon":                    `--wait: "soon": want a time with its unit, such as 30s or 5m`,
		"bench formation --sizes 3,x":            `--sizes: "3,x": want whole numbers separated by commas`,
		"create web --unique=maybe":              `--unique: "maybe": want true or false`,
		"get web --protocol 9":                   `--protocol: protocol "9": want 2.0, 1.9 or 1.8`,
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), append([]string{"xlreg"}, strings.Fields(args)...), nil, &out, &errs)
		if code != exitUsage || !strings.HasPrefix(errs.String(), "xlreg: "+want) || strings.Contains(errs.String(), "strconv") {
			t.Errorf("%s: exit code %d, %q", args, code, errs.String())
		}
	}
	t.Setenv("XLREG_SIZE", "many")
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"xlreg", "create", "web"}, nil, &out, &errs); code != exitUsage || errs.String() != "xlreg: XLREG_SIZE: \"many\": want a whole number\n" {
		t.Errorf("exit code %d, %q", code, errs.String())
	}
}
