package hostile

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin"
)

// adminFlood is what strangers do to the admin side, each of so many at a time, again and
// again.
type adminFlood struct {
	kind  string
	count int
	act   func(net.Conn) error
}

var adminFloods = []adminFlood{
	{"says nothing", 300, drain},
	{"slow body", 100, func(nc net.Conn) error {
		return trickle(nc, "POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n")
	}},
	{"slow header", 100, func(nc net.Conn) error { return trickle(nc, "GET / HTTP/1.1\r\n") }},
	{"bad token", 8, func(nc net.Conn) error {
		return repeat(nc, "GET /api/v1/registry HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer xlra_guess\r\n\r\n")
	}},
	{"large header", 8, func(nc net.Conn) error {
		return repeat(nc, "GET /api/v1/registry HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	}},
	{"large lists", 16, func(nc net.Conn) error {
		return repeat(nc, "GET /api/v1/clusters?limit=500 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	}},
	{"events that nobody reads", 500, func(nc net.Conn) error {
		if _, err := io.WriteString(nc, "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			return err
		}
		return drain(nc)
	}},
}

// adminConnections is how many connections the admin side has at most.
const adminConnections = 512

// attackTime is how long one connection of an attack is kept up: longer than an admin waits.
const attackTime = 2 * time.Minute

// drain waits for the end of a connection.
func drain(nc net.Conn) error {
	_, err := io.Copy(io.Discard, nc)
	return err
}

// trickle sends the beginning of a request, and a byte of the rest now and then.
func trickle(nc net.Conn, begin string) error {
	if _, err := io.WriteString(nc, begin); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(nc, "x"); err != nil {
			return err
		}
	}
	return nil
}

// repeat sends a request and takes the answer, for as long as that goes.
func repeat(nc net.Conn, request string) error {
	from := bufio.NewReader(nc)
	for {
		if _, err := io.WriteString(nc, request); err != nil {
			return err
		}
		answer, err := http.ReadResponse(from, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		answer.Body.Close()
	}
}

// besiegeAdmin lets all floods go on, from an address that is not the members', until
// stop. It returns when each has got through to the registry.
func besiegeAdmin(t *testing.T, addr string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var attacking, begun sync.WaitGroup
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(attackers)}, Timeout: attackTime}
	for _, f := range adminFloods {
		var first sync.Once
		var came atomic.Int64
		begun.Add(1)
		for range f.count {
			attacking.Go(func() {
				for ctx.Err() == nil {
					nc, err := dialer.DialContext(ctx, "tcp", addr)
					if err != nil {
						continue
					}
					if came.Add(1) == int64(f.count) {
						first.Do(begun.Done)
					}
					end := context.AfterFunc(ctx, func() { nc.Close() })
					_ = nc.SetDeadline(time.Now().Add(attackTime))
					_ = f.act(nc) // an attacker who is refused comes again
					end()
					nc.Close()
				}
			})
		}
	}
	begun.Wait()
	return func() { cancel(); attacking.Wait() }
}

// Clusters form while strangers flood the admin side, the registry's memory stays within
// bounds, and an admin is answered, over TCP and by the socket.
func TestAdminFlood(t *testing.T) {
	s := newSiege(t, "--http", ownAddress+":0")
	url := regexp.MustCompile(`"url":"(http://[0-9.:]+)"`).FindStringSubmatch(s.registry.LogTail())
	if url == nil {
		t.Fatal("the registry does not say where its admin side is")
	}
	token, err := os.ReadFile(filepath.Join(s.data, admin.FirstTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	s.form(1)
	quiet := s.form(3)
	before := s.memory()
	stop := besiegeAdmin(t, strings.TrimPrefix(url[1], "http://"))
	during := s.form(3)
	for range 5 {
		if err := askAdmin(t, http.DefaultTransport.(*http.Transport).Clone(), url[1], strings.TrimSpace(string(token))); err != nil {
			t.Errorf("an admin with a token: %v", err)
		}
	}
	local := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.data, "admin.sock"))
	}}
	if err := askAdmin(t, local, "http://local", ""); err != nil {
		t.Errorf("an admin on the socket: %v", err)
	}
	s.memory()
	stop()
	t.Logf("a formation took %v, and %v meanwhile; memory: before %d KiB, most %d KiB", quiet, during, before>>10, s.peak>>10)
	s.checkPeak(before, adminConnections)
	s.form(1)
}

// adminTime is how long an admin of a registry under attack is willing to wait.
const adminTime = time.Minute

// askAdmin changes something that does no harm.
func askAdmin(t *testing.T, transport *http.Transport, url, token string) error {
	t.Helper()
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), adminTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url+"/api/v1/drain", strings.NewReader(`{"on":false}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}
