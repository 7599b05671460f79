package page_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/admin/page"
)

// get asks a page for a path.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func newPage(r *admintest.Registry) http.Handler {
	return page.New(page.Config{Source: r, Logger: slog.New(slog.DiscardHandler)})
}

// Every answer has the policy, no cookie, and nothing from other hosts.
func TestHeaders(t *testing.T) {
	r := admintest.New(nil)
	id := r.Create("web", 3)
	h := newPage(r)
	for _, path := range []string{"/", "/clusters", "/clusters/" + id, "/nodes", "/sessions", "/limits", "/nowhere", "/assets/none", "/clusters?state=odd"} {
		w := get(t, h, path)
		header := w.Result().Header
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none';", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		for _, want := range []string{"frame-ancestors 'none'", "require-trusted-types-for 'script'", "base-uri 'none'"} {
			if !strings.Contains(header.Get("Content-Security-Policy"), want) {
				t.Errorf("%s: the policy has no %s", path, want)
			}
		}
		if len(header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s sets a cookie", path)
		}
		if foreign := regexp.MustCompile(`(?i)(src|href|action)="?(https?:)?//`).FindString(w.Body.String()); foreign != "" {
			t.Errorf("%s has %s", path, foreign)
		}
		if inline := regexp.MustCompile(`(?i)<style| style=| on[a-z]+="|<script[^>]*>[^<]`).FindString(w.Body.String()); inline != "" {
			t.Errorf("%s has %s", path, inline)
		}
	}
}

// An asset may be kept for ever, since its content is in its name.
func TestAssets(t *testing.T) {
	h := newPage(admintest.New(nil))
	body := get(t, h, "/").Body.String()
	found := regexp.MustCompile(`/assets/[a-z]+-[0-9a-f]{16}\.(css|mjs|svg)`).FindAllString(body, -1)
	if len(found) != 3 {
		t.Fatalf("the page has %q", found)
	}
	for _, path := range found {
		w := get(t, h, path)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Body.Len() == 0 {
			t.Errorf("%s: %d, %q, %d bytes", path, w.Code, w.Header().Get("Cache-Control"), w.Body.Len())
		}
		if strings.HasSuffix(path, ".mjs") && w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%s is %s", path, w.Header().Get("Content-Type"))
		}
	}
}

// What is wrong has its status, and the cause of what is wrong inside is for the log.
func TestProblems(t *testing.T) {
	r := admintest.New(nil)
	id := r.Create("web", 3)
	h := newPage(r)
	for path, want := range map[string]int{
		"/nowhere": 404, "/clusters/0123": 404, "/clusters?state=odd": 400, "/clusters?order=odd": 400, "/clusters/" + id + "?from=1": 400,
		"/clusters/" + id + "?from=128": 404, "/clusters/" + id + "?from=-1": 400, "/sessions?cursor=odd": 400, "/events/clusters/0123": 404,
		"/events/clusters?state=odd": 400, "/events/nowhere": 404, "/": 200,
	} {
		if w := get(t, h, path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/clusters", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	for err, want := range map[error]int{api.ErrUnavailable: 503, errors.New("the secret cause"): 500} {
		r.Fail(err)
		for _, path := range []string{"/", "/clusters", "/clusters/" + id, "/nodes", "/sessions", "/events/overview"} {
			w := get(t, h, path)
			if w.Code != want || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%v: %s answers %d", err, path, w.Code)
			}
		}
	}
}

// Whoever has the right already is not asked for a token.
func TestFree(t *testing.T) {
	r := admintest.New(nil)
	id := r.Create("web", 3)
	for _, free := range []bool{true, false} {
		h := page.New(page.Config{Source: r, Logger: slog.New(slog.DiscardHandler), MayChange: func(*http.Request) bool { return free }})
		body, err := io.ReadAll(get(t, h, "/clusters/"+id).Body)
		if err != nil || strings.Contains(string(body), " data-free>") != free {
			t.Errorf("free is %v, and the page says otherwise, %v", free, err)
		}
	}
}
