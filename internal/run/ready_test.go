package run

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheckTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	check := CheckTCP(l.Addr().String())
	if err := check(t.Context()); err != nil {
		t.Errorf("of an open port: %v", err)
	}
	l.Close()
	if err := check(t.Context()); err == nil {
		t.Error("a closed port passed")
	}
}

func TestCheckHTTP(t *testing.T) {
	answer := http.StatusOK
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) })
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	trust := x509.NewCertPool()
	trust.AddCert(secure.Certificate())
	for url, config := range map[string]*tls.Config{plain.URL: nil, secure.URL: {RootCAs: trust}} {
		for status, passes := range map[int]bool{200: true, 204: true, 301: false, 404: false, 503: false} {
			answer = status
			if err := CheckHTTP(url+"/health", config)(t.Context()); (err == nil) != passes {
				t.Errorf("%s with status %d: %v", url, status, err)
			}
		}
	}
	answer = http.StatusOK
	if err := CheckHTTP(secure.URL, nil)(t.Context()); err == nil {
		t.Error("a certificate that nobody trusts passed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := CheckHTTP(plain.URL, nil)(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
}

func TestAwaitTellsWhatWasWrong(t *testing.T) {
	no := errors.New("not yet")
	r := &Ready{What: "tcp there", Timeout: 30 * time.Millisecond, Check: func(ctx context.Context) error {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("the check has no time limit")
		}
		return no
	}}
	err := r.Await(t.Context(), "a")
	var e *NotReadyError
	if !errors.As(err, &e) || e.Name != "a" || e.After != r.Timeout || !errors.Is(err, no) {
		t.Errorf("%v", err)
	}
	if want := "a was not ready (tcp there) within 30ms: not yet"; err.Error() != want {
		t.Errorf("%q", err)
	}
}

// What a try that was cut short says hides nothing.
func TestAwaitKeepsTheRealReason(t *testing.T) {
	tries := 0
	r := &Ready{Timeout: 100 * time.Millisecond, Check: func(ctx context.Context) error {
		if tries++; tries == 1 {
			return errors.New("connection refused")
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	if err := r.Await(t.Context(), "a"); !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{}
	want := []int64{100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000}
	for i, ms := range want {
		if pause, ok := b.next(time.Second); !ok || pause.Milliseconds() != ms {
			t.Errorf("after %d failures: %v, %v", i+1, pause, ok)
		}
	}
	for range 100 {
		if pause, ok := b.next(0); !ok || pause != longestBackoff {
			t.Fatalf("later: %v, %v", pause, ok)
		}
	}
	if pause, ok := b.next(steadyTime); !ok || pause != shortestBackoff {
		t.Errorf("after it has done well: %v, %v", pause, ok)
	}
	b = backoff{most: 2}
	b.next(0)
	b.next(0)
	if _, ok := b.next(time.Second); ok {
		t.Error("a third time, of 2")
	}
	if _, ok := b.next(steadyTime); !ok {
		t.Error("those in a row count, and it has done well")
	}
}
