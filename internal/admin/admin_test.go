package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/admin/adminclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeper has data, and can fail while it hands them out.
type keeper struct {
	data   []byte
	before error // before the first byte
	half   error // after half of them
	hold   chan struct{}
}

func (k *keeper) Backup(ctx context.Context, to func(int64) io.Writer) error {
	if k.before != nil {
		return k.before
	}
	w := to(int64(len(k.data)))
	if _, err := w.Write(k.data[:len(k.data)/2]); err != nil {
		return err
	}
	if k.hold != nil {
		select {
		case <-k.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if k.half != nil {
		return k.half
	}
	_, err := w.Write(k.data[len(k.data)/2:])
	return err
}

// serveKeeper runs a Server and returns its socket, and what ends it.
func serveKeeper(t *testing.T, k *keeper) (socket string, stop func() error) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "admin.sock")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s, err := New(Config{Keeper: k, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { served <- s.Serve(ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return socket, stop
}

func copyFrom(ctx context.Context, socket string) ([]byte, error) {
	var b bytes.Buffer
	err := backup(ctx, socket, func(int64) io.Writer { return &b })
	return b.Bytes(), err
}

// backup asks as the program does.
func backup(ctx context.Context, socket string, to func(size int64) io.Writer) error {
	client, err := adminclient.New(adminclient.Options{Socket: socket})
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Backup(ctx, to)
}

func TestBackup(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	socket, stop := serveKeeper(t, &keeper{data: data})
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	for range 3 {
		if got, err := copyFrom(t.Context(), socket); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, err := copyFrom(t.Context(), socket); !errors.Is(err, adminclient.ErrNotServed) {
		t.Errorf("nobody there: %v", err)
	}
}

// Whatever ends a copy early, nobody takes what there is for the whole.
func TestBackupThatFails(t *testing.T) {
	failing := errors.New("the secret cause")
	for name, k := range map[string]*keeper{
		"before": {before: failing},
		"half":   {data: make([]byte, 1<<20), half: failing},
	} {
		socket, _ := serveKeeper(t, k)
		_, err := copyFrom(t.Context(), socket)
		if err == nil || strings.Contains(err.Error(), "secret") || errors.Is(err, adminclient.ErrNotServed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneBackupAtATime(t *testing.T) {
	k := &keeper{data: make([]byte, 1<<20), hold: make(chan struct{})}
	socket, _ := serveKeeper(t, k)
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- backup(context.Background(), socket, func(int64) io.Writer {
			close(begun)
			return io.Discard
		})
	}()
	<-begun
	if _, err := copyFrom(t.Context(), socket); err == nil || !strings.Contains(err.Error(), "another backup is under way") {
		t.Errorf("a second one: %v", err)
	}
	close(k.hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A backup that stands still does not keep the registry from its end.
func TestShutdownIsBounded(t *testing.T) {
	k := &keeper{data: make([]byte, 1<<20), hold: make(chan struct{})}
	socket, stop := serveKeeper(t, k)
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- backup(context.Background(), socket, func(int64) io.Writer {
			close(begun)
			return io.Discard
		})
	}()
	<-begun
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*shutdownTime {
		t.Errorf("it took %v", took)
	}
	if err := <-done; err == nil {
		t.Error("half a copy was taken for the whole")
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "admin.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := Listen(path)
	if err != nil {
		t.Fatalf("beside one that a dead process left: %v", err)
	}
	l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("a file that is no socket was replaced")
	}
	long := filepath.Join(dir, strings.Repeat("x", 100), "admin.sock")
	if _, err := Listen(long); !errors.Is(err, ErrPathTooLong) {
		t.Errorf("a long path: %v", err)
	}
	if _, err := copyFrom(t.Context(), long); !errors.Is(err, adminclient.ErrNotServed) || !strings.Contains(err.Error(), ErrPathTooLong.Error()) {
		t.Errorf("a long path: %v", err)
	}
}

func TestWhatIsNotOffered(t *testing.T) {
	socket, _ := serveKeeper(t, &keeper{data: []byte("data")})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	for _, c := range []struct {
		method, path string
		want         int
	}{{"GET", "/", 404}, {"POST", backupPath, 405}, {"DELETE", backupPath, 405}, {"GET", backupPath + "/x", 404}} {
		request, err := http.NewRequest(c.method, "http://x"+c.path, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%s %s: %s", c.method, c.path, answer.Status)
		}
	}
}
