package admin_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// world is a fake registry, and what shows and steers it.
type world struct {
	*admintest.Served
	t        *testing.T
	registry *admintest.Registry
	client   *http.Client // over TCP
	local    *http.Client // by the socket
}

func newWorld(t *testing.T, cfg admin.Config) *world {
	t.Helper()
	r := admintest.New(nil)
	if cfg.Steward == nil {
		cfg.Steward = r
	}
	s, err := admintest.Serve(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Served: s, t: t, registry: r, client: &http.Client{Transport: new(http.Transport)}}
	w.local = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.Socket)
	}}}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		w.local.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// answer is what came back, read to its end.
type answer struct {
	*http.Response
	text []byte
}

// ask sends a request; headers are in pairs.
func (w *world) ask(client *http.Client, method, path, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp, text}
}

func (w *world) get(path string, headers ...string) answer {
	w.t.Helper()
	return w.ask(w.client, http.MethodGet, path, "", headers...)
}

func (w *world) bearer() []string { return []string{"Authorization", "Bearer " + w.Token} }

// as reads an answer as T.
func as[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	var v T
	if a.StatusCode != status {
		t.Fatalf("%s %s: %s %s, want %d", a.Request.Method, a.Request.URL, a.Status, a.text, status)
	}
	if len(bytes.TrimSpace(a.text)) == 0 {
		return v
	}
	d := json.NewDecoder(bytes.NewReader(a.text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v in %s", a.Request.URL, err, a.text)
	}
	return v
}

func TestClusters(t *testing.T) {
	w := newWorld(t, admin.Config{})
	id := w.registry.Create("orchestra", 3)
	w.registry.Join(id, "violin", 0)
	about := as[api.Registry](t, w.get("/api/v1/registry"), 200)
	if about.Clusters != 1 || about.ByState[api.StateForming] != 1 {
		t.Errorf("%+v", about)
	}
	page := as[api.Page[api.Cluster]](t, w.get("/api/v1/clusters?state=forming&match=orch&newer=1h"), 200)
	if len(page.Items) != 1 || page.Items[0].ID != id || page.Items[0].Members != 1 {
		t.Errorf("%+v", page)
	}
	got := w.get("/api/v1/clusters/" + id)
	c := as[api.ClusterDetail](t, got, 200)
	tag := got.Header.Get("ETag")
	if len(c.Seats) != 1 || c.Seats[0].Name != "violin" || tag == "" {
		t.Errorf("%+v, ETag %s", c, tag)
	}
	if a := w.get("/api/v1/clusters/"+id, "If-None-Match", tag); a.StatusCode != http.StatusNotModified || len(a.text) > 0 {
		t.Errorf("unchanged: %s %s", a.Status, a.text)
	}
	w.registry.Join(id, "viola", 0)
	if a := w.get("/api/v1/clusters/"+id, "If-None-Match", tag); a.StatusCode != http.StatusOK {
		t.Errorf("changed: %s", a.Status)
	}
}

var errSecret = errors.New("disk 7 is on fire")

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}
