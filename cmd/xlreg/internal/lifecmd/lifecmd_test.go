//go:build unix

package lifecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
)

// commandVariable makes the test program 'xlreg' with the arguments that follow.
const commandVariable = "LIFECMD_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	_ = os.Unsetenv(commandVariable) // fails for impossible names only
	err := command(&cli.Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:]).Execute()
	if exit := (*run.ExitError)(nil); errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exit.Status())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(c *cli.Console, args []string) *cobra.Command {
	g := &cli.Globals{Console: c}
	root := &cobra.Command{Use: "xlreg", SilenceErrors: true, SilenceUsage: true}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return g.Prepare(cmd) }
	g.Register(root)
	root.AddCommand(New(g)...)
	root.SetArgs(args)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	return root
}

// fake is a run of two members that does what it is told in words only.
type fake struct {
	t   *testing.T
	dir *rundir.Dir
	end chan struct{} // closed when it was told to stop

	mu     sync.Mutex
	orders []rundir.Order // guarded by mu
}

func start(t *testing.T) *fake {
	t.Helper()
	d, err := rundir.Open(filepath.Join(t.TempDir(), "run"), rundir.Owner{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, dir: d, end: make(chan struct{})}
	d.Serve(f)
	t.Cleanup(f.close)
	env := make(map[string][]string)
	for _, name := range []string{"m0", "m1"} {
		env[name] = []string{"XLREG_SELF=" + name, "TRICKY=it's $HOME;\n`x`", "A-B=c"}
		f.log(name, name+" starts\nand has no end")
	}
	if err := d.SetEnv(env); err != nil {
		t.Fatal(err)
	}
	f.log("run", "formed\n")
	return f
}

func (f *fake) close() {
	if err := f.dir.Close(); err != nil {
		f.t.Error(err)
	}
}

// log adds to a log.
func (f *fake) log(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(f.dir.LogsPath(), 0o700); err != nil {
		f.t.Fatal(err)
	}
	file, err := os.OpenFile(rundir.LogPath(f.dir.LogsPath(), name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		f.t.Fatal(err)
	}
}

// Status implements rundir.Controlled.
func (f *fake) Status() rundir.Status {
	return rundir.Status{
		PID: 17, Cluster: "web", Recipe: "redis", Started: time.Now(),
		Members: []rundir.Member{
			{Name: "m0", State: "ready", PID: 4242, Since: time.Now().Add(-3 * time.Minute), Role: "seed", Endpoints: []string{"127.0.0.1:4000", "127.0.0.1:4001"}},
			{Name: "m1", Index: 1, State: "ended", Since: time.Now(), Restarts: 2, Why: "signal\x1b: killed"},
		},
	}
}

// Obey implements rundir.Controlled.
func (f *fake) Obey(_ context.Context, o rundir.Order) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, o)
	if o.Do == "restart" && o.Name == "m1" {
		return errors.New("m1 is not ready: refused")
	}
	if o.Do == "stop" && o.Name == "" {
		close(f.end)
	}
	return nil
}

func (f *fake) run(args ...string) (out, errs string, err error) {
	var stdout, stderr bytes.Buffer
	args = append([]string{args[0], "--dir", f.dir.Path()}, args[1:]...)
	err = command(&cli.Console{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, args).ExecuteContext(f.t.Context())
	return stdout.String(), stderr.String(), err
}

func (f *fake) has(line, want string) {
	f.t.Helper()
	out, errs, err := f.run(strings.Fields(line)...)
	if err != nil || out != want {
		f.t.Errorf("%s: got %q, want %q; %v %s", line, out, want, err, errs)
	}
}

func (f *fake) fails(kind error, line string, words ...string) {
	f.t.Helper()
	out, _, err := f.run(strings.Fields(line)...)
	if err == nil || kind != nil && !errors.Is(err, kind) || out != "" {
		f.t.Errorf("%s: got %v, %q", line, err, out)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			f.t.Errorf("%s: no %q in %v", line, word, err)
		}
	}
}

// On a narrow terminal a member's endpoints are below each other, and what nobody has is no
// column.
func TestPsIsNarrow(t *testing.T) {
	now := time.Now()
	s := &rundir.Status{Members: []rundir.Member{
		{Name: "m0", State: "ready", PID: 4242, Since: now.Add(-3 * time.Minute), Endpoints: []string{"127.0.0.1:4000", "127.0.0.1:4001"}},
		{Name: "m1", State: "ended", Since: now, Why: "m1 was stopped by 'xlreg stop'"},
	}}
	const wide = "NAME  STATE  PID   UPTIME  RESTARTS  ENDPOINTS                      WHY\n" +
		"m0    ready  4242  3m      0         127.0.0.1:4000,127.0.0.1:4001  -\n" +
		"m1    ended  -     -       0         -                              was stopped by 'xlreg stop'\n"
	const narrow = "NAME  STATE  PID   UPTIME  RESTARTS  ENDPOINTS       WHY\n" +
		"m0    ready  4242  3m      0         127.0.0.1:4000  -\n" +
		"                                     127.0.0.1:4001\n" +
		"m1    ended  -     -       0         -               was stopped by 'xlreg stop'\n"
	for width, want := range map[int]string{0: wide, 95: wide, 94: narrow, 80: narrow} {
		if got := layOut(s, width, now); got != want {
			t.Errorf("%d columns:\n%swant\n%s", width, got, want)
		}
	}
}

func TestPs(t *testing.T) {
	f := start(t)
	f.has("ps", "NAME  STATE  PID   UPTIME  RESTARTS  ROLE  ENDPOINTS                      WHY\n"+
		"m0    ready  4242  3m      0         seed  127.0.0.1:4000,127.0.0.1:4001  -\n"+
		"m1    ended  -     -       2         -     -                              signal?: killed\n")
	out, _, err := f.run("ps", "-o", "json")
	var s rundir.Status
	if err != nil || json.Unmarshal([]byte(out), &s) != nil || s.Cluster != "web" || len(s.Members) != 2 {
		t.Errorf("%v: %s", err, out)
	}
	f.close()
	f.fails(rundir.ErrNoRun, "ps", "ended at", "start it again with: ")
	f.fails(rundir.ErrNoRun, "stop", "ended at")
	f.fails(rundir.ErrNoRun, "kill m0", "ended at")
}

func TestOrders(t *testing.T) {
	f := start(t)
	f.has("stop m0", "m0 has stopped\n")
	f.has("restart m0", "m0 was started again\n")
	f.has("restart", "every member was started again\n")
	f.has("kill m1", "m1 was sent the signal\n")
	f.has("kill m1 --signal term", "m1 was sent the signal\n")
	f.has("kill m1 --signal SIGSTOP -o json", "")
	f.has("kill m1 --signal 10", "m1 was sent the signal\n")
	f.fails(nil, "restart m1", "m1 is not ready: refused")
	f.fails(ErrNoMember, "kill m9", "m9: no such member, only m0, m1")
	for _, bad := range []string{"X", "0", "-1", "128", "", "SIG"} {
		_, _, err := f.run("kill", "m0", "--signal="+bad)
		if !errors.Is(err, cli.ErrUsage) {
			t.Errorf("signal %q: %v", bad, err)
		}
	}
	want := []rundir.Order{
		{Do: "stop", Name: "m0"}, {Do: "restart", Name: "m0"}, {Do: "restart"}, {Do: "kill", Name: "m1", Signal: 9},
		{Do: "kill", Name: "m1", Signal: 15}, {Do: "kill", Name: "m1", Signal: 19}, {Do: "kill", Name: "m1", Signal: 10}, {Do: "restart", Name: "m1"},
	}
	if fmt.Sprint(f.orders) != fmt.Sprint(want) {
		t.Errorf("orders %v, want %v", f.orders, want)
	}
}

// stop says that the run has ended when it has, and not before.
func TestStopWaits(t *testing.T) {
	f := start(t)
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, _, err := f.run("stop")
		done <- result{out, err}
	}()
	<-f.end
	select {
	case r := <-done:
		t.Fatalf("stop does not wait: %v", r)
	case <-time.After(50 * time.Millisecond):
	}
	f.close()
	if r := <-done; r.out != "the run has ended\n" || r.err != nil {
		t.Errorf("got %v", r)
	}
}

// A run that does not answer, such as one that is stopped as by Ctrl-Z, is not waited for.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	d, err := rundir.Open(filepath.Join(t.TempDir(), "run"), rundir.Owner{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, dir: d} // it does not serve
	t.Cleanup(f.close)
	var all sync.WaitGroup
	for _, line := range []string{"stop", "restart", "kill m0", "ps"} {
		all.Go(func() {
			if _, _, err := f.run(strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), "has not answered") {
				t.Errorf("%s: %v", line, err)
			}
		})
	}
	all.Wait()
}

func TestLogs(t *testing.T) {
	f := start(t)
	f.log("m10", "ten\n")
	f.has("logs", "m0  | m0 starts\nm0  | and has no end\nm1  | m1 starts\nm1  | and has no end\nm10 | ten\n")
	f.has("logs m0", "m0 starts\nand has no end")
	f.has("logs run", "formed\n")
	f.fails(ErrNoMember, "logs m2", "m2: no such member, only m0, m1, m10, run")
	f.close()
	f.has("logs m0", "m0 starts\nand has no end")
	f.has("logs -f m0", "m0 starts\nand has no end")
}

// The logs are where the run was told to put them, whatever else is there.
func TestLogsElsewhere(t *testing.T) {
	f := start(t)
	elsewhere := t.TempDir()
	if err := f.dir.Save(rundir.Kept{Cluster: "web", Members: map[string][]string{"m0": nil}, Logs: elsewhere}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"m0.log": "here\n", "other.log": "not ours\n", "m0.log.1": "before\n"} {
		if err := os.WriteFile(filepath.Join(elsewhere, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.has("logs", "m0 | here\n")
}

// syncBuffer is a buffer that a test looks into while a command writes.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestFollow(t *testing.T) {
	f := start(t)
	var out syncBuffer
	done := make(chan error, 1)
	go func() {
		c := &cli.Console{In: strings.NewReader(""), Out: &out, Err: io.Discard}
		done <- command(c, []string{"logs", "-f", "--dir", f.dir.Path()}).ExecuteContext(t.Context())
	}()
	await := func(text string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !strings.Contains(out.String(), text); <-time.After(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %q in %q", text, out.String())
			}
		}
	}
	await("m1 | m1 starts\n")
	f.log("m0", " after all\n")
	await("m0 | and has no end after all\n")
	f.log("m1", ", the last word")
	f.close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	await("m1 | and has no end, the last word\n")
}

func TestEnv(t *testing.T) {
	f := start(t)
	out, errs, err := f.run("env", "m0")
	if err != nil || !strings.HasPrefix(out, "XLREG_SELF=m0; export XLREG_SELF\n") || !strings.Contains(errs, `"A-B"`) {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	got, err := exec.Command("sh", "-c", out+`exec sh -c 'printf %s "$XLREG_SELF,$TRICKY"'`).Output()
	if err != nil || string(got) != "m0,it's $HOME;\n`x`" {
		t.Errorf("a shell has %q, %v", got, err)
	}
	out, _, err = f.run("env", "m1", "-o", "json")
	var values map[string]string
	if err != nil || json.Unmarshal([]byte(out), &values) != nil || values["XLREG_SELF"] != "m1" || values["A-B"] != "c" {
		t.Errorf("%v: %s", err, out)
	}
	f.fails(ErrNoMember, "env m7", "m7: no such member, only m0, m1")
	f.close()
	if _, _, err := f.run("env", "m0"); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestExec(t *testing.T) {
	f := start(t)
	xlreg := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command(os.Args[0], args...)
		cmd.Dir = f.dir.Path() // which is the default
		cmd.Env = append(os.Environ(), commandVariable+"=1", "TRICKY=mine")
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := xlreg("exec", "m1", "--", "sh", "-c", `echo "$XLREG_SELF $TRICKY"; exit 7`); out != "m1 it's $HOME;\n`x`\n" || code != 7 {
		t.Errorf("%q, %d", out, code)
	}
	if out, code := xlreg("exec", "m1", "--", "no-such-program"); code != 127 || !strings.Contains(out, "no such program") {
		t.Errorf("%q, %d", out, code)
	}
	if out, code := xlreg("exec", "m1", "--", "./run.json/"); code != 126 && code != 127 {
		t.Errorf("%q, %d", out, code)
	}
	if out, code := xlreg("exec", "m5", "--", "true"); code != 1 || !strings.Contains(out, "no such member, only m0, m1") {
		t.Errorf("%q, %d", out, code)
	}
	if out, code := xlreg("exec", "m1"); code != 1 || !strings.Contains(out, "what to run") {
		t.Errorf("%q, %d", out, code)
	}
}

func TestWhereThereIsNoRun(t *testing.T) {
	dir := t.TempDir()
	for _, line := range []string{"ps", "stop", "stop m0", "kill m0", "restart", "logs", "logs -f m0", "env m0", "exec m0 -- true"} {
		var out bytes.Buffer
		args := strings.Fields(line)
		args = append([]string{args[0], "--dir", dir}, args[1:]...)
		err := command(&cli.Console{In: strings.NewReader(""), Out: &out, Err: &out}, args).ExecuteContext(t.Context())
		if !errors.Is(err, rundir.ErrNoRun) || !strings.Contains(err.Error(), dir) || out.Len() > 0 {
			t.Errorf("%s: %v, %q", line, err, &out)
		}
	}
}

func TestCheckMember(t *testing.T) {
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprint("m", i))
	}
	if err := checkMember("x", many); err == nil || !strings.HasSuffix(err.Error(), "m14, m15 and 24 more") {
		t.Error(err)
	}
	if err := checkMember("x", nil); err == nil || !strings.Contains(err.Error(), "there is none") {
		t.Error(err)
	}
}
