package rundir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/private"
)

// ErrNoRun says that nobody runs in a directory.
var ErrNoRun = errors.New("no run")

// ErrElsewhere says that a run is to be talked to on another machine.
var ErrElsewhere = errors.New("the run is on another machine")

// ErrCut says that a run was gone before it had answered.
var ErrCut = errors.New("the run ended without an answer")

// Client talks to a run from outside. One goroutine at a time may use it.
type Client struct {
	conn   net.Conn
	in     *bufio.Reader
	holder holder
}

// Dial finds the run in a directory. If there is none the error is ErrNoRun, and says what
// is known of the last one.
func Dial(ctx context.Context, path string) (*Client, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: there is no such directory", ErrNoRun, path)
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := private.Dir(path); err != nil {
		return nil, err
	}
	short, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", short)
	if err != nil {
		return nil, explain(path, err)
	}
	c := &Client{conn: conn, in: bufio.NewReader(conn)}
	if _, err := c.holder.read(pathIn(path, holderName), pathIn(path, lockName)); err != nil {
		c.holder = holder{} // the run says it, too
	}
	return c, nil
}

// explain says why there is no run.
func explain(path string, cause error) error {
	if !errors.Is(cause, os.ErrNotExist) && !errors.Is(cause, syscall.ECONNREFUSED) {
		return fmt.Errorf("ask the run in %s: %w", path, cause)
	}
	var h holder
	ours, err := h.read(pathIn(path, holderName), pathIn(path, lockName))
	here := thisMachine()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w in %s: start one with 'xlreg run --dir %s', or name its directory with --dir", ErrNoRun, path, path)
	case err != nil:
		return fmt.Errorf("%w in %s, and what the last one has left cannot be read: %w", ErrNoRun, path, err)
	case h.Machine.Host != here.Host && h.Ended.IsZero():
		return fmt.Errorf("%w (%w): %s has %s; ask there, or, if it is a copy, start it here with: %s",
			ErrNoRun, ErrElsewhere, h.String(), path, h.commandLine())
	case !ours:
		return fmt.Errorf("%w in %s: it is a copy of the directory of another run, %s; start it with: %s",
			ErrNoRun, path, h.String(), h.commandLine())
	case h.Ended.IsZero():
		return fmt.Errorf("%w in %s: the last one, pid %d, since %s, was killed or lost its directory; start it again with: %s",
			ErrNoRun, path, h.PID, at(h.Since), h.commandLine())
	}
	return fmt.Errorf("%w in %s: the last one, pid %d, ended at %s; start it again with: %s",
		ErrNoRun, path, h.PID, at(h.Ended), h.commandLine())
}

// Close ends the conversation. It may be called again.
func (c *Client) Close() error {
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Status asks how the run is.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	a, err := c.ask(ctx, request{Ask: askStatus})
	if err != nil {
		return nil, err
	}
	if a.Status == nil {
		return nil, errors.New("the run does not say how it is: another version of xlreg started it")
	}
	return a.Status, nil
}

// Order asks the run to do something, and returns when that is done.
func (c *Client) Order(ctx context.Context, o Order) error {
	_, err := c.ask(ctx, request{Ask: askOrder, Order: &o})
	return err
}

// End returns when the run has ended, with ErrCut if it was killed. Nothing can be asked
// any more.
func (c *Client) End(ctx context.Context) error {
	a, err := c.ask(ctx, request{Ask: askEnd})
	if errors.Is(err, ErrCut) || err == nil {
		c.awaitExit(ctx)
	}
	if err == nil && !a.Ended {
		err = ErrCut
	}
	return err
}

// exitTime is how long the process of a run may take from its last word to its end. It may
// also stay for ever, as a zombie that its parent does not look after.
const exitTime = 10 * time.Second

func (c *Client) awaitExit(ctx context.Context) {
	if !c.holder.isHere() || c.holder.PID == os.Getpid() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, exitTime)
	defer cancel()
	tick := time.NewTicker(tellInterval)
	defer tick.Stop()
	for lives(c.holder.PID) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask sends a question and returns the answer. An error of the run is one here.
func (c *Client) ask(ctx context.Context, q request) (reply, error) {
	var a reply
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Now()) })
	defer stop()
	err := writeLine(c.conn, q)
	if err == nil {
		err = readLine(c.in, maxReply, &a)
	}
	switch {
	case ctx.Err() != nil:
		return reply{}, fmt.Errorf("the run has not answered: %w", ctx.Err())
	case err != nil:
		return reply{}, fmt.Errorf("%w (%w)", ErrCut, err)
	case a.Error != "":
		return reply{}, errors.New(a.Error)
	case a.Ended && q.Ask != askEnd:
		return reply{}, fmt.Errorf("%w: it has just ended", ErrNoRun)
	}
	return a, nil
}
