package admin_test

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// walked is one operation of the API.
type walked struct {
	method, path string
	*huma.Operation
}

// walk returns all operations, with something in the place of each parameter.
func walk(t *testing.T, s *admin.Server) []walked {
	t.Helper()
	var all []walked
	paths := s.Document().Paths
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		p := paths[path]
		filled := strings.NewReplacer("{id}", "00", "{name}", "x").Replace(path)
		for method, op := range map[string]*huma.Operation{
			"GET": p.Get, "PUT": p.Put, "POST": p.Post, "DELETE": p.Delete, "PATCH": p.Patch, "HEAD": p.Head, "OPTIONS": p.Options,
		} {
			if op != nil {
				all = append(all, walked{method, filled, op})
			}
		}
	}
	if len(all) < 19 {
		t.Fatalf("the walk saw %d operations", len(all))
	}
	return all
}

// elsewhere makes a request one that a proxy on the registry's machine sends for
// somebody on another.
var elsewhere = []string{"X-Forwarded-For", "192.0.2.77"}

// Every operation declares its right, and whoever has not got it does not get in.
func TestEveryOperationHasARight(t *testing.T) {
	w := newWorld(t, admin.Config{Bounds: admin.Bounds{Failures: 1000}})
	reader := w.newToken("reader", true)
	for _, op := range walk(t, w.Server) {
		right, _ := op.Extensions["x-right"].(string)
		if right != "read" && right != "change" {
			t.Errorf("%s %s: right %q", op.method, op.path, right)
			continue
		}
		if right == "read" != (op.method == "GET" && op.OperationID != "backup" && op.OperationID != "list-tokens") {
			t.Errorf("%s %s needs %q", op.method, op.path, right)
		}
		if len(op.Security) == 0 {
			t.Errorf("%s %s says nothing of security", op.method, op.path)
		}
		w.refused(op, http.StatusUnauthorized, elsewhere...)
		w.refused(op, http.StatusUnauthorized, "Authorization", "Bearer xlra_wrong")
		w.refused(op, http.StatusUnauthorized, "Authorization", "Digest x")
		if right == "change" {
			w.refused(op, http.StatusUnauthorized)
			w.refused(op, http.StatusForbidden, "Authorization", "Bearer "+reader)
		}
	}
	if deeds := w.registry.Deeds(); len(deeds) != 0 {
		t.Errorf("strangers changed something: %+v", deeds)
	}
}

func (w *world) refused(op walked, want int, headers ...string) {
	w.t.Helper()
	a := w.ask(w.client, op.method, op.path, "", headers...)
	p := as[huma.ErrorModel](w.t, a, want)
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" || p.Detail == "" || strings.Contains(p.Detail, "\n") {
		w.t.Errorf("%s %s: %s %+v", op.method, op.path, got, p)
	}
	if want == http.StatusUnauthorized && (a.Header.Get("WWW-Authenticate") != `Bearer realm="xlreg"` || !strings.Contains(p.Detail, "xlreg admin tokens create")) {
		w.t.Errorf("%s %s: a 401 that does not say what to do: %v %+v", op.method, op.path, a.Header, p)
	}
}

// newToken makes a token by the socket.
func (w *world) newToken(name string, readOnly bool) string {
	w.t.Helper()
	body := `{"name":"` + name + `"}`
	if readOnly {
		body = `{"name":"` + name + `","read_only":true}`
	}
	a := w.ask(w.local, "POST", "/api/v1/tokens", body)
	return as[struct {
		api.Token
		Secret string `json:"secret"`
	}](w.t, a, http.StatusCreated).Secret
}

func TestWhoMay(t *testing.T) {
	w := newWorld(t, admin.Config{})
	id := w.registry.Create("choir", 2)
	w.registry.Form(id)
	reader := w.newToken("reader", true)
	writer := w.newToken("writer", false)
	remote := func(token string) []string { return append([]string{"Authorization", "Bearer " + token}, elsewhere...) }
	as[api.Registry](t, w.get("/api/v1/registry", remote(reader)...), 200)
	a := w.ask(w.client, "DELETE", "/api/v1/clusters/"+id+"/members/m0", "", remote(writer)...)
	if d := as[api.Done](t, a, 200); d.Cluster.Members != 1 || a.Header.Get("ETag") == "" {
		t.Errorf("%+v", d)
	}
	if a := w.ask(w.client, "GET", "/api/v1/registry", "", append([]string{"Authorization", "Basic " + basic("me", reader)}, elsewhere...)...); a.StatusCode != http.StatusOK {
		t.Errorf("a token as a password: %s", a.Status)
	}
	if got := w.registry.Deeds(); len(got) != 1 || got[0].Admin != "writer" || !strings.HasPrefix(got[0].From, "127.0.0.1:") {
		t.Errorf("%+v", got)
	}
	as[struct{}](t, w.ask(w.local, "DELETE", "/api/v1/tokens/writer", ""), http.StatusNoContent)
	w.refused(walked{"DELETE", "/api/v1/clusters/" + id, nil}, 401, remote(writer)...)
	a = w.ask(w.local, "DELETE", "/api/v1/clusters/"+id, "")
	as[api.Done](t, a, 200)
	if got := w.registry.Deeds(); len(got) != 2 || got[1].Admin != "local" || got[1].From != "socket" {
		t.Errorf("%+v", got)
	}
}

// A page of another site can neither ask by its own name nor send what changes something.
func TestOtherSites(t *testing.T) {
	w := newWorld(t, admin.Config{Hosts: []string{"Registry.Example.org."}})
	for _, c := range []struct {
		method  string
		want    int
		headers []string
	}{
		{"GET", 421, []string{"Host", "evil.example.org"}},
		{"GET", 421, []string{"Host", "localhost.evil.example.org:80"}},
		{"GET", 421, []string{"Host", "192.0.2.9"}},
		{"GET", 200, []string{"Host", "LOCALHOST:1234"}},
		{"GET", 200, []string{"Host", "[::1]:80"}},
		{"GET", 401, []string{"Host", "registry.example.org"}},
		{"PUT", 403, []string{"Origin", "https://evil.example.org", "Authorization", "Bearer " + w.Token}},
		{"PUT", 403, []string{"Sec-Fetch-Site", "cross-site", "Authorization", "Bearer " + w.Token}},
		{"PUT", 200, []string{"Sec-Fetch-Site", "same-origin", "Authorization", "Bearer " + w.Token}},
		{"PUT", 200, []string{"Authorization", "Bearer " + w.Token}},
	} {
		path, body := "/api/v1/registry", ""
		if c.method == "PUT" {
			path, body = "/api/v1/log-level", `{"level":"debug"}`
		}
		if a := w.ask(w.client, c.method, path, body, c.headers...); a.StatusCode != c.want {
			t.Errorf("%s %v: %s %s, want %d", c.method, c.headers, a.Status, a.text, c.want)
		}
	}
}

func TestTooManyAttempts(t *testing.T) {
	w := newWorld(t, admin.Config{Bounds: admin.Bounds{Failures: 3}})
	for i := range 5 {
		want := http.StatusUnauthorized
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if a := w.get("/api/v1/registry", "Authorization", "Bearer xlra_guess"); a.StatusCode != want || !a.Close {
			t.Errorf("attempt %d: %s, close %v", i, a.Status, a.Close)
		}
	}
	if a := w.get("/api/v1/registry", w.bearer()...); a.StatusCode != http.StatusOK {
		t.Errorf("the right token, after wrong ones: %s", a.Status)
	}
}

func TestProblems(t *testing.T) {
	w := newWorld(t, admin.Config{})
	id := w.registry.Create("choir", 2)
	w.registry.Form(id)
	owned := w.registry.Create("owned", 2)
	w.registry.Own(owned, "SHA256:x")
	for _, c := range []struct {
		method, path, body string
		want               int
		kind               string
		headers            []string
	}{
		{"GET", "/api/v1/clusters/00", "", 404, "not-found", nil},
		{"GET", "/api/v1/clusters/zz", "", 422, "", nil},
		{"GET", "/api/v1/clusters?limit=501", "", 422, "", nil},
		{"GET", "/api/v1/clusters?nosuch=1", "", 422, "", nil},
		{"GET", "/api/v1/clusters?older=soon", "", 422, "", nil},
		{"GET", "/api/v1/clusters?wait=1s", "body", 422, "invalid", nil},
		{"GET", "/api/v1/nosuch", "", 404, "not-found", nil},
		{"PATCH", "/api/v1/clusters", "", 405, "method", nil},
		{"DELETE", "/api/v1/clusters/" + owned, "", 409, "owned", nil},
		{"DELETE", "/api/v1/clusters/" + id, "", 412, "changed", []string{"If-Match", `"1.999"`}},
		{"DELETE", "/api/v1/clusters/" + id, "", 422, "", []string{"If-Match", `W/"1"`}},
		{"DELETE", "/api/v1/clusters/" + id + "/members/nobody", "", 404, "not-found", nil},
		{"DELETE", "/api/v1/nodes/00", "", 404, "not-found", nil},
		{"PUT", "/api/v1/log-level", `{"level":"loud"}`, 422, "", nil},
		{"PUT", "/api/v1/drain", strings.Repeat(" ", 100<<10), 413, "", nil},
		{"POST", "/api/v1/tokens", `{"name":"no spaces"}`, 422, "", nil},
		{"POST", "/api/v1/tokens", `{"name":"admin"}`, 409, "exists", nil},
		{"DELETE", "/api/v1/tokens/nobody", "", 404, "not-found", nil},
		{"GET", "/api/v1/backup", "", 501, "unsupported", nil},
	} {
		a := w.ask(w.local, c.method, c.path, c.body, c.headers...)
		p := as[huma.ErrorModel](t, a, c.want)
		if c.kind != "" && p.Type != "urn:xlreg:problem:"+c.kind || p.Status != c.want {
			t.Errorf("%s %s: %+v, want %s", c.method, c.path, p, c.kind)
		}
	}
	tag := w.get("/api/v1/clusters/" + id).Header.Get("ETag")
	as[api.Done](t, w.ask(w.local, "POST", "/api/v1/clusters/"+id+"/reopen", "", "If-Match", tag), 200)
}

// What went wrong inside is for the log.
func TestInternalCausesAreNotSent(t *testing.T) {
	w := newWorld(t, admin.Config{})
	w.registry.Fail(errSecret)
	for _, path := range []string{"/api/v1/clusters", "/api/v1/nodes", "/api/v1/clusters/00", "/api/v1/clusters?wait=1s&since=x"} {
		a := w.ask(w.local, "GET", path, "")
		p := as[huma.ErrorModel](t, a, 500)
		if strings.Contains(string(a.text), "disk") || p.Type != "urn:xlreg:problem:internal" {
			t.Errorf("%s: %s", path, a.text)
		}
	}
	if a := w.ask(w.client, "GET", "/readyz", ""); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("ready without a store: %s", a.Status)
	}
	if a := w.ask(w.client, "GET", "/livez", "", elsewhere...); a.StatusCode != http.StatusOK {
		t.Errorf("not alive: %s", a.Status)
	}
}

func TestWaiting(t *testing.T) {
	w := newWorld(t, admin.Config{})
	id := w.registry.Create("choir", 2)
	first := as[api.Page[api.Cluster]](t, w.get("/api/v1/clusters"), 200)
	began := time.Now()
	again := as[api.Page[api.Cluster]](t, w.get("/api/v1/clusters?wait=50ms&since="+first.Revision), 200)
	if took := time.Since(began); again.Revision != first.Revision || took < 50*time.Millisecond {
		t.Errorf("nothing happened: %+v after %v", again, took)
	}
	answers := make(chan answer, 2)
	go func() { answers <- w.get("/api/v1/clusters?wait=5m&since=" + first.Revision) }()
	go func() { answers <- w.get("/api/v1/clusters/" + id + "?wait=1h&since=1") }()
	w.registry.Join(id, "a", 0)
	for range 2 {
		if a := <-answers; a.StatusCode != http.StatusOK || !strings.Contains(string(a.text), `"members":1`) {
			t.Errorf("%s %s", a.Status, a.text)
		}
	}
	if a := w.get("/api/v1/clusters/" + id + "?wait=1s&since=x"); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a word in place of a revision: %s", a.Status)
	}
}

// What is mounted beside the API needs the right to read, and browsers are asked for a
// token in the way they know.
func TestWhatIsMounted(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("page of " + r.URL.Path)) })
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metrics")) })
	w := newWorld(t, admin.Config{Page: page, Metrics: metrics})
	for path, want := range map[string]string{"/": "page of /", "/clusters/x": "page of /clusters/x", "/metrics": "metrics"} {
		if a := w.get(path); a.StatusCode != http.StatusOK || string(a.text) != want {
			t.Errorf("%s: %s %s", path, a.Status, a.text)
		}
		a := w.get(path, elsewhere...)
		if basic := strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic "); a.StatusCode != http.StatusUnauthorized || basic != (path != "/metrics") {
			t.Errorf("%s from elsewhere: %s %v", path, a.Status, a.Header)
		}
	}
	if a := w.get("/debug/pprof/cmdline"); string(a.text) != "page of /debug/pprof/cmdline" {
		t.Errorf("pprof over TCP: %s %s", a.Status, a.text)
	}
	if a := w.ask(w.local, "GET", "/debug/pprof/cmdline", ""); !strings.Contains(string(a.text), "admin.test") {
		t.Errorf("pprof by the socket: %s %s", a.Status, a.text)
	}
	if a := w.get("/api/v1/openapi.yaml"); !strings.Contains(string(a.text), "openapi: 3.1") {
		t.Errorf("%s %.100s", a.Status, a.text)
	}
}

// Whoever tries tokens is seen in the log, which has neither the token nor a line for
// each of thousands.
func TestWrongTokensAreLogged(t *testing.T) {
	said := new(lockedText)
	w := newWorld(t, admin.Config{Bounds: admin.Bounds{Failures: 1000}, Logger: slog.New(slog.NewTextHandler(said, nil))})
	for range 300 {
		w.ask(w.client, http.MethodGet, "/api/v1/registry", "", "Authorization", "Bearer xlra_guess")
	}
	lines := strings.Count(said.String(), "admin token refused")
	if lines < 100 || lines >= 300 || !strings.Contains(said.String(), "127.0.0.1:") || strings.Contains(said.String(), "guess") {
		t.Errorf("%d lines, such as %.200s", lines, said.String())
	}
}

// lockedText keeps what several goroutines write.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// What is refused is not kept or guessed at by a browser, whoever asks.
func TestRefusalsHaveTheHeadersOfAnswers(t *testing.T) {
	w := newWorld(t, admin.Config{})
	for _, headers := range [][]string{elsewhere, {"Authorization", "Bearer xlra_wrong"}, {"Host", "evil.example"}} {
		a := w.ask(w.client, http.MethodGet, "/api/v1/registry", "", headers...)
		if a.StatusCode < 400 || a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %d %v", headers, a.StatusCode, a.Header)
		}
	}
}
