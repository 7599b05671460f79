package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
)

// The test binary runs itself with these in the environment.
const (
	childFile = "XLREG_TEST_BOLT_FILE"
	childTask = "XLREG_TEST_BOLT_TASK"

	taskUpdate = "update" // update and print until killed
	taskFull   = "full"   // meet a limit on the file's size
)

func child(task, path string) int {
	run := map[string]func(context.Context, opened) error{taskUpdate: updateForever, taskFull: meetLimit}[task]
	d, err := openDriver(path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s := opened{group.New(d), d}
	if err := errors.Join(run(context.Background(), s), s.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func childCommand(t *testing.T, task, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childFile+"="+path, childTask+"="+task)
	return cmd
}

// updateForever prints the number of each node once its Update has returned.
func updateForever(ctx context.Context, s opened) error {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := g; ; n += 4 {
				if err := s.Update(ctx, putNode(n)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				fmt.Printf("%d\n", n)
			}
		})
	}
	wg.Wait()
	return errors.New("updates ended")
}

// Everything answered before a kill -9 is there afterwards, three times over on
// the same file.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	answered := make(map[int]bool)
	for range 3 {
		killed(t, path, answered)
		s := open(t, filepath.Dir(path))
		for n := range answered {
			if !hasNode(t, s, n) {
				t.Errorf("node %d was answered and is lost", n)
			}
		}
		for err := range checkFile(t, s.driver) {
			t.Errorf("damaged file: %v", err)
		}
		mustClose(t, s)
	}
}

// killed runs a child until it has answered some updates, kills it, and adds to
// answered all that it had printed by then.
func killed(t *testing.T, path string, answered map[int]bool) {
	t.Helper()
	cmd := childCommand(t, taskUpdate, path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for i := 0; ; i++ {
		if i == 100 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) || i < 100 {
				t.Fatalf("after %d lines: %v", i, err)
			}
			break
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		answered[n] = true
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("killed child: %v", err)
	}
}

func checkFile(t *testing.T, d *driver) <-chan error {
	t.Helper()
	tx, err := d.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // a reader
	found := make(chan error, 1000)
	for err := range tx.Check() {
		found <- err
	}
	close(found)
	return found
}

// meetLimit wants Updates to fail as one when the file may not be written, and
// to succeed again when it may.
func meetLimit(ctx context.Context, s opened) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := s.Update(ctx, putNode(0)); err != nil {
		return err
	}
	info, err := os.Stat(s.driver.db.Path())
	if err != nil {
		return err
	}
	// No page but the first two, then all there are, then one and a half more.
	size, page := info.Size(), int64(os.Getpagesize())
	next := 1
	for _, limit := range []int64{0, page, 2 * page, size, size + page + page/2} {
		if next, err = meetOneLimit(ctx, s, limit, next); err != nil {
			return fmt.Errorf("limit %d: %w", limit, err)
		}
	}
	return nil
}

// meetOneLimit puts nodes from number n on until that fails, then one more with
// the limit lifted, and returns the next number.
func meetOneLimit(ctx context.Context, s opened, limit int64, n int) (int, error) {
	lift, err := limitFileSize(limit)
	if err != nil {
		return n, err
	}
	first := n
	for s.Update(ctx, putNode(n)) == nil {
		n++
		if n > first+1000 {
			return n, errors.New("the limit is never met")
		}
	}
	refused := shared(ctx, s, n)
	absent := s.View(ctx, func(r store.Reader) error {
		for i := range 10 {
			if _, err := r.Get(nodeKey(n + i)); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("node %d after its Update failed: %v", n+i, err)
			}
		}
		return nil
	})
	if err := errors.Join(refused, absent, lift()); err != nil {
		return n, err
	}
	if err := s.Update(ctx, putNode(n)); err != nil {
		return n, fmt.Errorf("with room again: %w", err)
	}
	return n + 1, present(ctx, s, n)
}

// shared wants ten Updates at a time to fail with an error of the driver.
func shared(ctx context.Context, s opened, n int) error {
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			err := s.Update(ctx, putNode(n+i))
			if err == nil || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrUnknown) {
				errs[i] = fmt.Errorf("update past the limit: %v", err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// present wants all nodes up to number n.
func present(ctx context.Context, s opened, n int) error {
	return s.View(ctx, func(r store.Reader) error {
		for i := range n + 1 {
			if err := wantNode(r, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func limitFileSize(limit int64) (lift func() error, err error) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return nil, err
	}
	lowered := before
	lowered.Cur = uint64(limit)
	err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &lowered)
	return func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before) }, err
}

func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if out, err := childCommand(t, taskFull, path).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	s := open(t, filepath.Dir(path))
	defer mustClose(t, s)
	for err := range checkFile(t, s.driver) {
		t.Errorf("damaged file: %v", err)
	}
	if !hasNode(t, s, 0) || !hasNode(t, s, 5) {
		t.Error("nodes are lost")
	}
}
