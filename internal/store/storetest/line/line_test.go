package line_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store/storetest/line"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo says back what it is told, and returns where.
func echo(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(nc, nc) // it is cut
			nc.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// say sends a byte and waits a while for it to come back.
func say(nc net.Conn, patience time.Duration) error {
	if _, err := nc.Write([]byte{1}); err != nil {
		return err
	}
	return hear(nc, patience)
}

func hear(nc net.Conn, patience time.Duration) error {
	if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, make([]byte, 1))
	return err
}

func TestLine(t *testing.T) {
	const long = 30 * time.Second
	l := line.New(t, echo(t))
	dial := func() net.Conn {
		t.Helper()
		nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	nc := dial()
	if err := say(nc, long); err != nil {
		t.Fatal(err)
	}
	l.Hold()
	var timeout net.Error
	if err := say(nc, 50*time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("through a line that is held: %v", err)
	}
	l.Release()
	if err := hear(nc, long); err != nil {
		t.Errorf("what was held does not arrive: %v", err)
	}
	l.Cut()
	if err := hear(nc, long); err == nil {
		t.Error("a line that is cut carries something")
	}
	if err := say(dial(), long); err == nil {
		t.Error("a line that is cut lets something begin")
	}
	l.Mend()
	if err := say(dial(), long); err != nil {
		t.Errorf("through a line that was mended: %v", err)
	}
}
