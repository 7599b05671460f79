package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// Command says how a server process is started. The store and the directory are
// added to Args, and these two are what the process has to call Serve with.
type Command struct {
	Path string
	Args []string // the name that it is called by first
	Env  []string // beside that of this process
}

// Process is a registry in a process of its own, whose processor time and memory
// are then its own too. One goroutine may ask it at a time.
type Process struct {
	*Registry
	Store string

	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	said  *bytes.Buffer // on standard error; not to be read before the process has ended
	ended bool
}

// Start starts a registry with these keys and this store, that keeps what it has to
// in dir, which it makes. It returns when the registry is open.
func Start(c Command, set *keys.Set, kind, dir string) (*Process, error) {
	if err := prepare(set, dir); err != nil {
		return nil, err
	}
	p := &Process{Store: kind, said: new(bytes.Buffer)}
	p.cmd = exec.CommandContext(context.Background(), c.Path) //nolint:gosec // this program; Close ends it
	p.cmd.Args = append(append([]string{}, c.Args...), kind, dir)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stderr = p.said
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start registry: %w", err)
	}
	if err := p.open(dir); err != nil {
		return nil, fmt.Errorf("start registry: %w", errors.Join(err, p.Close()))
	}
	return p, nil
}

// prepare makes the identity of a registry, unless dir has one already.
func prepare(set *keys.Set, dir string) error {
	node, err := identity.Init(filepath.Join(dir, nodeDir), identity.Options{Name: "bench", Keys: set, Registry: true})
	if errors.Is(err, identity.ErrExists) {
		return nil
	}
	if err != nil {
		return err
	}
	return node.Close()
}

// open waits for the registry and learns where it is.
func (p *Process) open(dir string) error {
	if _, err := p.ask(askReady); err != nil {
		return err
	}
	cred, err := regcred.Read(filepath.Join(dir, credFile))
	if err != nil {
		return err
	}
	target, err := regcred.NewTarget(cred)
	p.Registry = &Registry{Target: target}
	return err
}

// Close ends the process, by the end of its questions, and waits for its end. It
// may be called again.
func (p *Process) Close() error {
	if p.ended {
		return nil
	}
	p.ended = true
	p.in.Close()
	err := p.cmd.Wait()
	if err == nil {
		return nil
	}
	if said := bytes.TrimSpace(p.said.Bytes()); len(said) > 0 {
		return fmt.Errorf("registry ended: %w: %s", err, said)
	}
	return fmt.Errorf("registry ended: %w", err)
}

// CPU returns the processor time that the process has used.
// It is errors.ErrUnsupported where the system does not tell.
func (p *Process) CPU() (time.Duration, error) {
	n, err := p.ask(askCPU)
	return time.Duration(n), err
}

// Memory returns the bytes of anonymous memory that the process has resident after
// a collection that gave everything back that it could. It is errors.ErrUnsupported
// where the system does not tell.
func (p *Process) Memory() (int64, error) { return p.ask(askMemory) }

// Collections returns how often the process has collected garbage.
func (p *Process) Collections() (int64, error) { return p.ask(askCollect) }

// Decrypt lets the process make n RSA private operations, to hold its work against.
func (p *Process) Decrypt(n int) error {
	_, err := p.ask(askDecrypt + " " + strconv.Itoa(n))
	return err
}

// Follow lets n followers, in the process, follow so many changes a second from now on, in
// the place of those before.
func (p *Process) Follow(n, rate int) error {
	_, err := p.ask(fmt.Sprintf("%s %d %d", askFollow, n, rate))
	return err
}

func (p *Process) ask(question string) (int64, error) {
	if _, err := fmt.Fprintln(p.in, question); err != nil {
		return 0, err
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("ask for %s: %w", question, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err == nil && n == unknown {
		err = fmt.Errorf("ask for %s: %w", question, errors.ErrUnsupported)
	}
	return n, err
}
