package recipetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/recipe"
)

// update has TestRecipes write its results into docs/recipes.md.
var update = flag.Bool("update", false, "write the table in docs/recipes.md")

// program is xlreg, as TestMain has built it.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withProgram(m.Run))
}

func withProgram(run func() int) int {
	dir, err := os.MkdirTemp("", "recipetest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := lookInVenv(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "xlreg")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/xlattice/xlreg/cmd/xlreg").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build xlreg: %v\n%s", err, out)
		return 1
	}
	return run()
}

// lookInVenv has programs looked for where 'make recipes' installs what is not Debian's.
func lookInVenv() error {
	bin, err := filepath.Abs(filepath.Join(".venv", "bin"))
	if err != nil {
		return err
	}
	// Debian has some servers where only root looks.
	path := []string{bin, os.Getenv("PATH"), "/usr/sbin"}
	return os.Setenv("PATH", strings.Join(path, string(os.PathListSeparator)))
}

// system says what to expect of a recipe that is run. Commands are for sh, with the
// environment of a member.
type system struct {
	name   string   // the recipe's
	always bool     // in every test, and not only with XLREG_RECIPES=all
	needs  []string // programs that only its test needs
	what   []string // its version and that of what it needs: commands, each of which prints a line with it

	client string // the system's own client, told nothing of the cluster but by its environment
	pastes string // the program in the line for people, if that is not installed with the system

	n       int      // how many members; 0 is three
	flags   []string // of 'run', besides
	args    []string // what stands behind --
	tls     []port   // where a stranger is refused
	write   string   // member 0 writes something
	read    string   // member 0 prints it, and it is the last line
	wrote   string   // what read prints
	victim  int      // who is killed; 0 is the last member
	goesOn  string   // of member 0: what succeeds when the victim is dead
	noDeath string   // why no member is killed

	// In place of write, read and goesOn, where there is no command for it.
	writeWith  func(*cluster) error
	readWith   func(*cluster) (string, error)
	goesOnWith func(*cluster) error

	// Of systems that refuse strangers by other means than TLS: how to see it, and what the
	// table says of it.
	strangers   func(*cluster) error
	refusedWith string

	kept bool // what was written is there when the cluster is started again
}

// port is one that speaks TLS.
type port struct {
	name  string
	hello func(net.Conn) error // what a client says before TLS; nil: nothing
	late  bool                 // a client without a certificate is refused after TLS, and strangers shows it
}

// patience bounds what may take long on a busy machine, and is over as soon as it is done.
const patience = 3 * time.Minute

// cluster is a system that runs.
type cluster struct {
	t    *testing.T
	s    system
	dir  string
	temp string // what it has for temporary files
}

// xlreg runs the program with the cluster's directory, and returns what it printed.
func (c *cluster) xlreg(ctx context.Context, command string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append([]string{command, "--dir", c.dir}, args...)...)
	cmd.Env = append(environment(), "TMPDIR="+c.temp)
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// environment returns that of this test without what is meant for tests, or would be a flag
// of xlreg.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "XLREG_") })
}

// start starts the system in the background, and returns how long it took to be ready.
func (c *cluster) start() time.Duration {
	c.t.Helper()
	r, err := recipe.Find(c.s.name)
	if err != nil {
		c.t.Fatal(err)
	}
	args := []string{c.s.name, "-n", fmt.Sprint(c.s.n), "--detach", "--keep-going"}
	args = append(args, asFile(c.t, "status", r.Status.Text)...)
	args = append(args, asFile(c.t, "paste", r.Client.Paste.Text)...)
	args = append(append(args, c.s.flags...), c.s.args...)
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*patience)
	defer cancel()
	begin := time.Now()
	if out, err := c.xlreg(ctx, "run", args...); err != nil {
		c.t.Fatalf("start: %v\n%s%s", err, out, c.logs())
	}
	return time.Since(begin)
}

// asFile has a member get a template of its recipe as a file.
func asFile(t *testing.T, name, text string) (flags []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--file", name + "=@" + path}
}

// paste runs the line for people in another shell, which has been told nothing.
func (c *cluster) paste() {
	c.t.Helper()
	if !c.s.canPaste() {
		return
	}
	c.eventually("paste", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "sh", filepath.Join(c.dirOf(0), "paste"))
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
		cmd.Dir = "/"
		cmd.WaitDelay = 10 * time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
}

// canPaste reports whether this machine has the program of the line for people.
func (s system) canPaste() bool {
	_, err := exec.LookPath(s.pastes)
	return s.pastes == "" || err == nil
}

// stop ends the system, and looks at what it has left.
func (c *cluster) stop() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := c.xlreg(ctx, "stop"); err != nil {
		c.t.Errorf("stop: %v\n%s", err, out)
	}
	if left := processesOf(c.dir); len(left) > 0 {
		c.t.Errorf("processes are left:\n%s", strings.Join(left, "\n"))
	}
	entries, err := os.ReadDir(c.temp)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		c.t.Errorf("a temporary file is left: %s", e.Name())
	}
}

// environ returns the variables of member i.
func (c *cluster) environ(i int) map[string]string {
	c.t.Helper()
	out, err := c.xlreg(c.t.Context(), "env", member(i), "-o", "json")
	vars := make(map[string]string)
	if err == nil {
		err = json.Unmarshal([]byte(out), &vars)
	}
	if err != nil {
		c.t.Fatalf("env: %v\n%s", err, out)
	}
	return vars
}

func member(i int) string { return fmt.Sprintf("m%d", i) }

// dirOf returns the directory of member i, where its files are.
func (c *cluster) dirOf(i int) string { return filepath.Dir(c.environ(i)["XLREG_ROSTER"]) }

// sh runs a command as member 0, and returns what it printed.
func (c *cluster) sh(ctx context.Context, command string) (string, error) {
	return c.xlreg(ctx, "exec", member(0), "--", "sh", "-c", command)
}

// eventually does something until it succeeds.
func (c *cluster) eventually(what string, do func(context.Context) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("%s: %v\n%s", what, err, c.logs())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// command returns what runs a command as member 0, or calls do in its place if there is one.
func (c *cluster) command(command string, do func(*cluster) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if do != nil {
			return do(c)
		}
		out, err := c.sh(ctx, command)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	}
}

// whole waits until the system's own status command says that the cluster is whole.
func (c *cluster) whole() {
	c.t.Helper()
	c.eventually("status", c.command("sh '"+filepath.Join(c.dirOf(0), "status")+"'", nil))
}

// client runs the system's own client.
func (c *cluster) client() {
	c.t.Helper()
	if c.s.client != "" {
		c.eventually("client", c.command(c.s.client, nil))
	}
}

// write writes something, if the system keeps what is written.
func (c *cluster) write() {
	c.t.Helper()
	if c.s.wrote != "" {
		c.eventually("write", c.command(c.s.write, c.s.writeWith))
	}
}

// read compares what is there with what was written.
func (c *cluster) read(when string) {
	c.t.Helper()
	if c.s.wrote == "" {
		return
	}
	var got string
	c.eventually("read "+when, func(ctx context.Context) (err error) {
		if c.s.readWith != nil {
			got, err = c.s.readWith(c)
			return err
		}
		got, err = c.sh(ctx, c.s.read)
		return err
	})
	got = strings.TrimSpace(got)
	if last := strings.TrimSpace(got[strings.LastIndex(got, "\n")+1:]); last != c.s.wrote {
		c.t.Errorf("%s it reads %q, want %q", when, got, c.s.wrote)
	}
}

// kill kills a member, and waits until the others go on.
func (c *cluster) kill() {
	c.t.Helper()
	victim := member(c.s.victim)
	if out, err := c.xlreg(c.t.Context(), "kill", victim); err != nil {
		c.t.Fatalf("kill %s: %v\n%s", victim, err, out)
	}
	c.eventually("after the death of "+victim, c.command(c.s.goesOn, c.s.goesOnWith))
	out, err := c.xlreg(c.t.Context(), "ps", "-o", "json")
	var run struct {
		Members []struct{ Name, State string } `json:"members"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &run)
	}
	if err != nil {
		c.t.Fatalf("ps: %v\n%s", err, out)
	}
	for _, m := range run.Members {
		if want := map[bool]string{true: "ended", false: "ready"}[m.Name == victim]; m.State != want {
			c.t.Errorf("%s is %s, want %s", m.Name, m.State, want)
		}
	}
}

// restart starts the member again that was killed.
func (c *cluster) restart() {
	c.t.Helper()
	victim := member(c.s.victim)
	if out, err := c.xlreg(c.t.Context(), "restart", victim); err != nil {
		c.t.Fatalf("restart %s: %v\n%s%s", victim, err, out, c.logs())
	}
}

// logs returns the end of what each member has printed.
func (c *cluster) logs() string {
	var b strings.Builder
	logs, _ := filepath.Glob(filepath.Join(c.dir, "logs", "*.log"))
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "== %s\n%s\n", filepath.Base(path), data[max(0, len(data)-2000):])
	}
	return b.String()
}

// processesOf returns the processes that have dir in their command or environment.
func processesOf(dir string) []string {
	var found []string
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		cmdline, _ := os.ReadFile(filepath.Join(entry, "cmdline")) // it may be gone by now
		environ, _ := os.ReadFile(filepath.Join(entry, "environ"))
		if bytes.Contains(cmdline, []byte(dir)) || bytes.Contains(environ, []byte(dir)) {
			found = append(found, filepath.Base(entry)+" "+string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// strangers proves on member 0 and the last one that a member's certificate is let in at each
// port that speaks TLS, and that no other is, nor a client that has none. A member's wait is
// short, because servers end connections on which nothing is said; a stranger's is long,
// because on a busy machine it may take a while to be refused.
func (c *cluster) strangers() {
	c.t.Helper()
	foreign := foreignCertificate(c.t)
	vars := c.environ(1)
	mine, err := tls.LoadX509KeyPair(vars["XLREG_TLS_CERT"], vars["XLREG_TLS_KEY"])
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range c.s.tls {
		for _, i := range []int{0, c.s.n - 1} {
			address := c.address(i, p.name)
			if err := knock(p, address, &mine, time.Second); err != nil {
				c.t.Errorf("%s of %s: a member is refused: %v", p.name, member(i), err)
			}
			if err := knock(p, address, &foreign, patience); !errors.Is(err, errRefused) {
				c.t.Errorf("%s of %s: a stranger is let in, or cannot ask: %v", p.name, member(i), err)
			}
			if p.late {
				continue
			}
			if err := knock(p, address, nil, patience); !errors.Is(err, errRefused) {
				c.t.Errorf("%s of %s: a stranger without a certificate is let in, or cannot ask: %v", p.name, member(i), err)
			}
		}
	}
}

// address returns the address of a named port of member i.
func (c *cluster) address(i int, port string) string {
	name := "XLREG_ENDPOINTS_" + strings.ToUpper(strings.ReplaceAll(port, "-", "_"))
	all := strings.Split(c.environ(0)[name], ",")
	if len(all) != c.s.n {
		c.t.Fatalf("%s is %q, want %d addresses", name, all, c.s.n)
	}
	return all[i]
}
