package torture

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Set for this test program when it is to be the member of a run.
const (
	runMember = "TORTURE_MEMBER" // the member's name for itself
	runToken  = "TORTURE_RUN"    // by which everything that a run has started is known
)

// portConflict is how a member ends that cannot listen where it was told to.
const portConflict = 98

// TestRuns runs programs as clusters of three, many of them one after the other and
// several at a time. Somewhere on the way a random process of each run is killed: the run
// itself, a shim, a member, or one of them and then the run; or it is told to end. No member may find its port taken, and
// when the run is over nothing of it may be left: no process, no file. Some run a second time
// in the same directory.
func TestRuns(t *testing.T) {
	if _, err := program(); err != nil {
		t.Fatal(err)
	}
	total, atOnce := either(16, 100), either(4, 8)
	seed := newSeed(t)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range total {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			r := newTorturedRun(t, i, random)
			r.once()
			if r.dir != "" && random.IntN(2) == 0 {
				r.once()
			}
		})
	}
	all.Wait()
}

// torturedRun is a run, which may be started several times. Its methods may be called by one
// goroutine that is not the test's own.
type torturedRun struct {
	t      *testing.T
	random *rand.Rand
	token  string
	temp   string // what it takes for the directory of temporary files
	dir    string // empty: it has a temporary one
	what   string // what was done to it last, for messages
}

func newTorturedRun(t *testing.T, i int, random *rand.Rand) *torturedRun {
	r := &torturedRun{t: t, random: random, token: fmt.Sprintf("%d-%d", os.Getpid(), i), temp: filepath.Join(t.TempDir(), "temp")}
	if err := os.Mkdir(r.temp, 0o700); err != nil {
		t.Error(err)
	}
	if random.IntN(2) == 0 {
		r.dir = filepath.Join(t.TempDir(), "kept")
	}
	return r
}

func (r *torturedRun) once() {
	path, _ := program()
	self, err := os.Executable()
	if err != nil {
		r.t.Error(err)
		return
	}
	args := []string{"run", "-q", "-n", "3", "--ports", "2", "--env", runMember + "={{.Self.Name}}", "--keep-going"}
	if r.dir != "" {
		args = append(args, "--dir", r.dir)
	}
	cmd := exec.Command(path, append(args, "--", self, "{{listen 0}}", "{{listen 1}}")...)
	cmd.Env = append(os.Environ(), runToken+"="+r.token, "TMPDIR="+r.temp)
	out := newUpCounter(3)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		r.t.Error(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.disturb(cmd.Process, out)
	r.check(ended, cmd.Process, out)
}

// disturb waits for a moment or until all members are up, and then kills something.
func (r *torturedRun) disturb(process *os.Process, out *upCounter) {
	moment := time.After(time.Duration(r.random.IntN(400)) * time.Millisecond)
	if r.random.IntN(2) == 0 {
		moment = time.After(patience)
	}
	select {
	case <-moment:
	case <-out.up:
	}
	switch r.random.IntN(5) {
	case 0:
		r.what = "run killed"
		_ = process.Kill()
		return
	case 1:
		r.what = "told to end"
		_ = process.Signal(syscall.SIGTERM)
		return
	}
	all := r.processes()
	if len(all) == 0 {
		r.what = "told to end, with nothing to kill"
		_ = process.Signal(syscall.SIGTERM)
		return
	}
	victim := all[r.random.IntN(len(all))]
	r.what = fmt.Sprintf("killed %d (%s), then ", victim.pid, victim.line)
	_ = syscall.Kill(victim.pid, syscall.SIGKILL)
	// The shim of the temporary directory is replaced, which takes a moment: if the run was
	// killed meanwhile, and had no other shims yet, nobody would be left to remove it.
	if strings.Contains(victim.line, " shim temp ") || r.random.IntN(2) == 0 {
		r.what += "told to end"
		_ = process.Signal(syscall.SIGTERM)
		return
	}
	r.what += "run killed"
	_ = process.Kill()
}

// check waits for the end of the run, and of everything that belongs to it.
func (r *torturedRun) check(ended <-chan error, process *os.Process, out *upCounter) {
	var err error
	select {
	case err = <-ended:
	case <-time.After(patience):
		r.t.Errorf("%s: the run does not end\n%s\n%v", r.what, out, r.processes())
		_ = process.Kill()
		return
	}
	if e := (*exec.ExitError)(nil); errors.As(err, &e) && e.ExitCode() == portConflict {
		r.t.Errorf("%s: a port was taken\n%s", r.what, out)
	}
	again, late := time.NewTicker(20*time.Millisecond), time.After(40*time.Second) // more than the time to end that anything has
	defer again.Stop()
	for len(r.processes()) > 0 {
		select {
		case <-again.C:
		case <-late:
			r.t.Errorf("%s: left behind: %v\n%s", r.what, r.processes(), out)
			return
		}
	}
	left, err := os.ReadDir(r.temp)
	if err != nil || len(left) > 0 {
		r.t.Errorf("%s: %v, left behind in the directory of temporary files: %v\n%s", r.what, err, left, out)
	}
}

// ofRun is a process that belongs to a run.
type ofRun struct {
	pid  int
	line string // its command line
}

// processes returns those that have the run's token in their environment, zombies not
// counted: they have none.
func (r *torturedRun) processes() []ofRun {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		r.t.Error(err)
	}
	var found []ofRun
	for _, path := range paths {
		env, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(env, []byte(runToken+"="+r.token+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		found = append(found, ofRun{pid, strings.ReplaceAll(string(line), "\x00", " ")})
	}
	return found
}

// upCounter takes a run's output, and closes up when so many members have said that they
// are up.
type upCounter struct {
	up chan struct{}

	mu   sync.Mutex
	want int          // guarded by mu, as is text
	text bytes.Buffer //
}

func newUpCounter(want int) *upCounter { return &upCounter{up: make(chan struct{}), want: want} }

func (c *upCounter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(p)
	if c.want > 0 && strings.Count(c.text.String(), "is up") >= c.want {
		c.want = 0
		close(c.up)
	}
	return len(p), nil
}

func (c *upCounter) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// beMember is a program that is hard to get rid of: it listens where it is told to, has a
// child in a session of its own, and takes its time when it is told to end.
func beMember(addrs []string) int {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			fmt.Println(err)
			return portConflict
		}
		defer l.Close()
	}
	child := exec.Command("sleep", "1000")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(os.Getenv(runMember), "is up")
	<-told
	<-time.After(50 * time.Millisecond)
	return 0
}
