package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// Every write is counted, and who has none left is told when to come back. What changes
// nothing goes on, and so does reading.
func TestLimitOfWrites(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{WritesPerMinuteLoopback: 3})
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	token := a.token("a")
	id, _, err := a.ask(wire.NewMember(token)).MemberOK()
	if err != nil {
		t.Fatal(err)
	}
	a.create("c", 2)
	ref := xlreg.ClusterRef{Name: "c"}
	a.ask(wire.NewJoin(wire.JoinRequest{Ref: ref}))

	over := func(m *wire.Message) {
		t.Helper()
		a.send(m)
		err := a.receive().Err()
		if retry := xlreg.RetryAfter(err); !errors.Is(err, xlreg.ErrTooManyRequests) || retry <= 0 || retry > time.Minute {
			t.Errorf("%v over the limit: %v, retry after %v", m.Op(), err, retry)
		}
	}
	changed := a.token("a")
	changed.ID, changed.Attrs = id, xlreg.AttrSolo
	if changed.DigSig2, err = keys.SignToken(a.keys.Sig, changed); err != nil {
		t.Fatal(err)
	}
	over(wire.NewMember(changed))
	over(wire.NewCreate(xlreg.ClusterSpec{Name: "d"}))
	over(wire.NewLeave(ref))

	token.ID = id
	a.ask(wire.NewMember(token))
	a.create("c", 2)
	a.ask(wire.NewJoin(wire.JoinRequest{Ref: ref}))
	a.ask(wire.NewGet(wire.GetRequest{Ref: ref, Which: xlreg.AllSeats()}, xlreg.Protocol20))
}

// What one source reads is counted, too, whoever it is.
func TestLimitOfReads(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{ReadMiBPerMinuteLoopback: 1})
	a := w.connect(xlreg.Protocol20, testKeys()[1])
	a.register("a")
	a.create("c", 2)
	a.ask(wire.NewJoin(wire.JoinRequest{}))
	reader := w.connect(xlreg.Protocol20, nil)
	get := wire.NewGet(wire.GetRequest{Ref: xlreg.ClusterRef{Name: "c"}, Which: xlreg.AllSeats()}, xlreg.Protocol20)
	read := 0
	for {
		reader.send(get)
		reply := reader.receive()
		if err := reply.Err(); err != nil {
			if !errors.Is(err, xlreg.ErrTooManyRequests) || xlreg.RetryAfter(err) <= 0 {
				t.Errorf("over the limit: %v", err)
			}
			break
		}
		if read += reply.Size(); read > 2<<20 {
			t.Fatalf("%d bytes read, of 1 MiB a minute", read)
		}
	}
	if read < 1<<19 {
		t.Errorf("refused after %d bytes, of 1 MiB", read)
	}
	a.ask(wire.NewJoin(wire.JoinRequest{})) // it is reading that is over
}

// logLines is a log that tests read.
type logLines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// with returns the lines with this message.
func (l *logLines) with(t *testing.T, msg string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(l.all.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == msg {
			found = append(found, fields)
		}
	}
	return found
}

// A deployed client that is refused shows nobody why, so the log says it, at INFO. A
// flood does not fill it.
func TestRefusedClassicClientsAreLogged(t *testing.T) {
	var log logLines
	w := newWorldLogging(t, nil, guard.Limits{}, slog.New(slog.NewJSONHandler(&log, nil)))
	p := w.connect(xlreg.Protocol19, testKeys()[1])
	p.refused(wire.NewCreate(xlreg.ClusterSpec{Name: "c"}), xlreg.ErrWrongState, false)
	until(func() bool { return len(log.with(t, "request refused")) == 1 })
	line := log.with(t, "request refused")[0]
	for key, want := range map[string]string{
		"level": "INFO", "protocol": "1.9", "op": "Create", "reason": "invalid msg type for current state",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %s, in %v", key, line[key], want, line)
		}
	}
	if addr, _ := line["addr"].(string); !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Errorf("address %q", addr)
	}

	garbage := bytes.Repeat([]byte{1}, 256)
	const flood = 150
	for range flood {
		nc := w.tcp()
		if _, err := nc.Write(garbage); err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Read(make([]byte, 1)) // until it is closed
		nc.Close()
	}
	until(func() bool { return w.server.Stats().FailedHandshakes == flood })
	if n := len(log.with(t, "no session")); n < 90 || n >= flood {
		t.Errorf("%d lines for %d connections that said garbage", n, flood)
	}
}
