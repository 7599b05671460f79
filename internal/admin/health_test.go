package admin

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

func TestHealth(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var ready atomic.Bool
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s := NewHealth(ready.Load, slog.New(slog.DiscardHandler))
	go func() { ended <- s.Serve(ctx, l) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		ready bool
		path  string
		want  int
	}{
		{false, "/healthz", http.StatusServiceUnavailable},
		{true, "/healthz", http.StatusOK},
		{true, "/backup", http.StatusNotFound},
	} {
		ready.Store(c.ready)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%s, ready %v: %d, want %d", c.path, c.ready, answer.StatusCode, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
