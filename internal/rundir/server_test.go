package rundir

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, f *fake) *Dir {
	t.Helper()
	d := open(t, filepath.Join(t.TempDir(), "run"))
	d.Serve(f)
	return d
}

func TestControl(t *testing.T) {
	f := &fake{}
	d := serve(t, f)
	c := dial(t, d.Path())
	for range 2 {
		if s, err := c.Status(t.Context()); err != nil || s.Cluster != "web" || len(s.Members) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	}
	want := Order{Do: "kill", Name: "m0", Signal: 9}
	if err := c.Order(t.Context(), want); err != nil {
		t.Error(err)
	}
	wantError(t, "nobody", c.Order(t.Context(), Order{Do: "stop", Name: "nobody"}), nil, "there is no nobody")
	if len(f.orders) != 2 || f.orders[0] != want {
		t.Errorf("orders %v", f.orders)
	}
	if _, err := c.ask(t.Context(), request{Ask: "dance"}); err == nil || !strings.Contains(err.Error(), `does not know "dance"`) {
		t.Errorf("got %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.End(t.Context()) }()
	idle := dial(t, d.Path())
	if _, err := idle.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
	if err := idle.End(t.Context()); err != nil && !errors.Is(err, ErrCut) {
		t.Errorf("who asks when it has ended: %v", err)
	}
}

// Whoever has told the run to stop, and waits, hears of the end even when the run is faster
// than the question.
func TestEndAfterOrder(t *testing.T) {
	for range 20 {
		d := serve(t, &fake{})
		c := dial(t, d.Path())
		if err := c.Order(t.Context(), Order{Do: "stop"}); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- d.Close() }()
		within(t, "the end", func() {
			if err := c.End(t.Context()); err != nil && !errors.Is(err, ErrCut) {
				t.Error(err)
			}
		})
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
}

func TestOrderWhenTheRunEnds(t *testing.T) {
	d := serve(t, &fake{hang: make(chan struct{})})
	c := dial(t, d.Path())
	answer := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		close(began)
		answer <- c.Order(t.Context(), Order{Do: "restart", Name: "hang"})
	}()
	<-began
	within(t, "Close", func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := <-answer; err == nil {
		t.Error("the order was carried out")
	}
}

func TestAskerWhoGivesUp(t *testing.T) {
	f := &fake{hang: make(chan struct{})}
	d := serve(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantError(t, "an order that hangs", dial(t, d.Path()).Order(ctx, Order{Name: "hang"}), context.DeadlineExceeded)
	close(f.hang)
	if _, err := dial(t, d.Path()).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

// raw connects without knowing how to talk.
func raw(t *testing.T, d *Dir) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(d.Path(), socketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestHostile(t *testing.T) {
	d := serve(t, &fake{})
	for what, text := range map[string]string{
		"garbage": "\x00\xff\x16\x03\n", "not JSON": "GET / HTTP/1.1\r\n\r\n", "another type": "[1,2]\n", "deep": strings.Repeat("[", 20000) + "\n",
		"no order": `{"ask":"order"}` + "\n", "nothing": "{}\n", "null": "null\n",
	} {
		conn := raw(t, d)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		var a reply
		if err := json.NewDecoder(conn).Decode(&a); err != nil || a.Error == "" || a.Done {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}

	huge := raw(t, d)
	_ = huge.SetDeadline(time.Now().Add(time.Minute))
	n, err := io.Copy(huge, io.LimitReader(endless{}, 1<<30))
	if err == nil {
		t.Errorf("%d bytes of one line were taken", n)
	}

	silent, half := raw(t, d), raw(t, d)
	if _, err := io.WriteString(half, `{"ask":`); err != nil {
		t.Fatal(err)
	}
	neverReads := raw(t, d)
	_ = neverReads.SetWriteDeadline(time.Now().Add(time.Second))
	for err == nil || !errors.Is(err, errDone) {
		if _, werr := io.WriteString(neverReads, strings.Repeat(`{"ask":"status"}`+"\n", 1000)); werr != nil {
			err = errDone // neither side has room left
		}
	}
	if _, err := dial(t, d.Path()).Status(t.Context()); err != nil {
		t.Errorf("an honest one among them: %v", err)
	}
	for what, conn := range map[string]net.Conn{"silent": silent, "half a line": half} {
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("%s: the run keeps it: %v", what, err)
		}
	}
	within(t, "Close", func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

var errDone = errors.New("done")

// endless has no end of line.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// More than there is room for are turned away, and room that is given up can be had again.
func TestManyAskers(t *testing.T) {
	d := serve(t, &fake{})
	var waiting []net.Conn
	for range maxAskers {
		conn := raw(t, d)
		if _, err := io.WriteString(conn, `{"ask":"status"}`+"\n"+`{"ask":"end"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, conn)
	}
	c := dial(t, d.Path())
	_, err := c.Status(t.Context())
	wantError(t, "one too many", err, ErrCut)
	for _, conn := range waiting {
		conn.Close()
	}
	within(t, "room", func() {
		for {
			if _, err := dial(t, d.Path()).Status(t.Context()); err == nil {
				return
			}
		}
	})
}

func TestReadLine(t *testing.T) {
	var v map[string]any
	long := `{"a":"` + strings.Repeat("x", 200) + `"}` + "\n"
	if err := readLine(bufio.NewReaderSize(strings.NewReader(long), 16), len(long), &v); err != nil || len(v) != 1 {
		t.Errorf("as long as may be: %v", err)
	}
	wantError(t, "longer", readLine(bufio.NewReaderSize(strings.NewReader(long), 16), len(long)-1, &v), errLineTooLong)
	wantError(t, "cut off", readLine(bufio.NewReader(strings.NewReader(long[:100])), 1000, &v), io.ErrUnexpectedEOF)
	wantError(t, "nothing", readLine(bufio.NewReader(strings.NewReader("")), 1000, &v), io.EOF)
}
