package adminclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a real admin side over a registry that does what the test says.
func serve(t *testing.T) (*admintest.Registry, *admintest.Served) {
	t.Helper()
	r := admintest.New(nil)
	s, err := admintest.Serve(admin.Config{Steward: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, s
}

func dial(t *testing.T, o adminclient.Options) *adminclient.Client {
	t.Helper()
	c, err := adminclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReads(t *testing.T) {
	r, s := serve(t)
	id := r.Create("web", 3)
	r.Join(id, "m0", 0)
	r.Create("db", 2)
	r.SetNodes(api.Node{ID: strings.Repeat("ab", 32), Name: "n"})
	r.SetSessions(api.Session{ID: 7, From: "10.0.0.1:1"})
	r.SetLimits(api.Limit{Name: "max-nodes", Value: 9})
	for name, c := range map[string]*adminclient.Client{
		"socket": dial(t, adminclient.Options{Socket: s.Socket}),
		"http":   dial(t, adminclient.Options{URL: s.URL + "/"}), // reading here is free
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, time.Minute)
			about, err := c.Registry(ctx)
			if must(t, about, err).Name != "fake" || about.Clusters != 2 {
				t.Errorf("registry %+v", about)
			}
			page, err := c.Clusters(ctx, api.ClusterQuery{Match: "w", State: api.StateForming, Newer: time.Hour, Order: api.OrderName, Limit: 1})
			if must(t, page, err); len(page.Items) != 1 || page.Items[0].ID != id {
				t.Errorf("clusters %+v", page)
			}
			first, err := c.Clusters(ctx, api.ClusterQuery{Limit: 1})
			second, err2 := c.Clusters(ctx, api.ClusterQuery{Limit: 1, Cursor: must(t, first, err).Next})
			if must(t, second, err2); len(second.Items) != 1 || second.Items[0].Name != "web" || second.Next != "" {
				t.Errorf("second page %+v", second)
			}
			detail, err := c.Cluster(ctx, id)
			if must(t, detail, err); len(detail.Seats) != 1 || detail.Seats[0].Name != "m0" {
				t.Errorf("cluster %+v", detail)
			}
			nodes, err := c.Nodes(ctx, "", 5)
			node, err2 := c.Node(ctx, must(t, nodes, err).Items[0].ID)
			if must(t, node, err2).Name != "n" {
				t.Errorf("node %+v", node)
			}
			sessions, err := c.Sessions(ctx, "", 5)
			limits, err2 := c.Limits(ctx)
			if must(t, sessions, err).Items[0].ID != 7 || must(t, limits, err2)[0].Value != 9 {
				t.Errorf("sessions %+v, limits %+v", sessions, limits)
			}
		})
	}
}

func TestChanges(t *testing.T) {
	r, s := serve(t)
	c := dial(t, adminclient.Options{URL: s.URL, Token: s.Token})
	ctx := within(t, time.Minute)
	id := r.Create("web", 3)
	r.Form(id)
	before, err := c.Cluster(ctx, id)
	must(t, before, err)
	tag := adminclient.Tag(&before.Cluster)
	done, err := c.Evict(ctx, id, api.Eviction{Member: "m1"}, tag)
	if must(t, done, err); len(done.Evicted) != 1 || done.Evicted[0] != "m1" {
		t.Errorf("evicted %+v", done)
	}
	if _, err := c.Evict(ctx, id, api.Eviction{Member: "m2"}, tag); !errors.Is(err, api.ErrChanged) {
		t.Errorf("with an old tag: %v", err)
	}
	done, err = c.Evict(ctx, id, api.Eviction{Member: "m2", Ban: true}, "")
	must(t, done, err)
	done, err = c.Evict(ctx, id, api.Eviction{Key: admintest.Fingerprint("m0"), Ban: true}, "")
	must(t, done, err)
	done, err = c.Reopen(ctx, id, "")
	if must(t, done, err); done.Cluster == nil || done.Cluster.Epoch != 2 {
		t.Errorf("reopened %+v", done)
	}
	done, err = c.Delete(ctx, id, "")
	must(t, done, err)
	if _, err := c.Cluster(ctx, id); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	node := strings.Repeat("ab", 32)
	r.SetNodes(api.Node{ID: node})
	if err := errors.Join(c.Forget(ctx, node), c.Drain(ctx, true), c.SetLogLevel(ctx, "debug")); err != nil {
		t.Error(err)
	}
	if about, err := c.Registry(ctx); !must(t, about, err).Draining || about.LogLevel != "debug" {
		t.Errorf("registry %+v", about)
	}
	if len(r.Deeds()) != 8 {
		t.Errorf("deeds %+v", r.Deeds())
	}
}

func TestTokens(t *testing.T) {
	_, s := serve(t)
	ctx := within(t, time.Minute)
	c := dial(t, adminclient.Options{Socket: s.Socket})
	made, err := c.CreateToken(ctx, "ci", true)
	if must(t, made, err); made.Name != "ci" || !made.ReadOnly || made.Secret == "" {
		t.Errorf("made %+v", made)
	}
	list, err := c.Tokens(ctx)
	if must(t, list, err); len(list) != 2 {
		t.Errorf("tokens %+v", list)
	}
	reader := dial(t, adminclient.Options{URL: s.URL, Token: made.Secret})
	if err := reader.Drain(ctx, true); !errors.Is(err, adminclient.ErrNotAllowed) {
		t.Errorf("read-only: %v", err)
	}
	if err := c.RevokeToken(ctx, "ci"); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Registry(ctx); !errors.Is(err, adminclient.ErrNoToken) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("revoked: %v", err)
	}
	stranger := dial(t, adminclient.Options{URL: s.URL})
	if err := stranger.Drain(ctx, true); !errors.Is(err, adminclient.ErrNoToken) || strings.Contains(err.Error(), "Bearer") {
		t.Errorf("without a token: %v", err)
	}
}

// What is wrong is one of the kinds that there are, and says what it is about.
func TestProblems(t *testing.T) {
	r, s := serve(t)
	c := dial(t, adminclient.Options{Socket: s.Socket})
	ctx := within(t, time.Minute)
	id := r.Create("web", 2)
	r.Own(id, admintest.Fingerprint("owner"))
	_, owned := c.Reopen(ctx, id, "")
	_, missing := c.Cluster(ctx, strings.Repeat("0", 64))
	_, invalid := c.Clusters(ctx, api.ClusterQuery{Limit: 1 << 20})
	r.Fail(fmt.Errorf("%w: a reason", api.ErrUnavailable))
	_, unavailable := c.Cluster(ctx, id)
	r.Fail(errors.New("what nobody is told"))
	_, failed := c.Cluster(ctx, id)
	noBackup := c.Backup(ctx, func(int64) io.Writer { t.Error("a copy of nothing"); return io.Discard })
	for name, e := range map[string]struct {
		err, kind error
		text      string
	}{
		"owned":       {owned, api.ErrOwned, id},
		"missing":     {missing, api.ErrNotFound, "000"},
		"invalid":     {invalid, api.ErrInvalid, "limit"},
		"unavailable": {unavailable, api.ErrUnavailable, "a reason"},
		"failed":      {failed, adminclient.ErrFailed, "log"},
		"no backup":   {noBackup, api.ErrUnsupported, "file"},
	} {
		if !errors.Is(e.err, e.kind) || !strings.Contains(e.err.Error(), e.text) || strings.Contains(e.err.Error(), "nobody is told") {
			t.Errorf("%s: %v", name, e.err)
		}
	}
}

// A socket that appears a little later is waited for, and one that does not is not.
func TestLateSocket(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "admin.sock")
	c := dial(t, adminclient.Options{Socket: socket, Patience: time.Minute})
	asked := make(chan error, 1)
	go func() {
		_, err := c.Registry(context.WithoutCancel(t.Context()))
		asked <- err
	}()
	server, err := admin.New(admin.Config{Steward: admintest.New(nil)})
	must(t, server, err)
	l, err := admin.Listen(socket)
	must(t, l, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	if err := <-asked; err != nil {
		t.Error(err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	impatient := dial(t, adminclient.Options{Socket: filepath.Join(dir, "nowhere.sock")})
	if _, err := impatient.Registry(t.Context()); !errors.Is(err, adminclient.ErrNotServed) {
		t.Errorf("nobody there: %v", err)
	}
	long := dial(t, adminclient.Options{Socket: filepath.Join(dir, strings.Repeat("x", 200)), Patience: time.Minute})
	if _, err := long.Registry(t.Context()); !errors.Is(err, adminclient.ErrNotServed) || !strings.Contains(err.Error(), "too long") {
		t.Errorf("long path: %v", err)
	}
}

// A server is believed by its own sum alone if that is given.
func TestPin(t *testing.T) {
	dir := t.TempDir()
	cert, err := admin.OwnCertificate(dir, nil, nil)
	must(t, cert, err)
	server, err := admin.New(admin.Config{Steward: admintest.New(nil)})
	must(t, server, err)
	l, err := admin.ListenTCP(t.Context(), "127.0.0.1:0", cert)
	must(t, l, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	defer func() { stop(); <-served }()
	if _, err := dial(t, adminclient.Options{URL: l.URL(), Pin: cert.Pin()}).Registry(ctx); err != nil {
		t.Error(err)
	}
	other := "sha256//" + strings.Repeat("A", 43) + "="
	for name, o := range map[string]adminclient.Options{
		"another pin": {URL: l.URL(), Pin: other},
		"fingerprint": {URL: l.URL(), Pin: admintest.Fingerprint("other")},
		"no pin":      {URL: l.URL()},
	} {
		if _, err := dial(t, o).Registry(ctx); !errors.Is(err, adminclient.ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, pin := range []string{"sha256//short", "SHA256:short", "x"} {
		if c, err := adminclient.New(adminclient.Options{URL: l.URL(), Pin: pin}); err == nil {
			c.Close()
			t.Errorf("pin %q taken", pin)
		}
	}
}

func TestPlaces(t *testing.T) {
	for url, want := range map[string]error{
		"http://example.org:8080": adminclient.ErrClear,
		"http://10.0.0.1":         adminclient.ErrClear,
		"ftp://localhost":         adminclient.ErrBadURL,
		"example.org":             adminclient.ErrBadURL,
		"https://":                adminclient.ErrBadURL,
		"https://u:p@example.org": adminclient.ErrBadURL,
		"https://example.org/?x":  adminclient.ErrBadURL,
		"":                        adminclient.ErrNoPlace,
	} {
		if _, err := adminclient.New(adminclient.Options{URL: url}); !errors.Is(err, want) {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{"http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://example.org/base"} {
		dial(t, adminclient.Options{URL: url})
	}
}

// Whatever else is there is told from an admin side, and gets no token by a redirect.
func TestOtherServers(t *testing.T) {
	stolen := make(chan string, 1)
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stolen <- r.Header.Get("Authorization")
	}))
	defer thief.Close()
	answers := map[string]http.HandlerFunc{
		"page":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"error":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL, http.StatusFound) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			chunk := bytes.Repeat([]byte(" "), 1<<20)
			for range 20 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
	}
	for name, h := range answers {
		server := httptest.NewServer(h)
		c := dial(t, adminclient.Options{URL: server.URL, Token: "secret"})
		if _, err := c.Registry(within(t, time.Minute)); !errors.Is(err, adminclient.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Follow(within(t, time.Minute), nil, func(bool, []api.Change) error { return nil }); !errors.Is(err, adminclient.ErrForeign) {
			t.Errorf("%s, followed: %v", name, err)
		}
		c.Close()
		server.Close()
	}
	select {
	case token := <-stolen:
		t.Errorf("sent elsewhere: %q", token)
	default:
	}
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, refused, err)
	refused.Close()
	c := dial(t, adminclient.Options{URL: "http://" + refused.Addr().String()})
	if _, err := c.Registry(t.Context()); !errors.Is(err, adminclient.ErrNotServed) {
		t.Errorf("nobody there: %v", err)
	}
}

type keeper struct {
	data []byte
	cut  int // where the copy ends
}

func (k *keeper) Backup(_ context.Context, to func(int64) io.Writer) error {
	_, err := to(int64(len(k.data))).Write(k.data[:k.cut])
	if k.cut < len(k.data) {
		err = errors.New("cut short")
	}
	return err
}

func TestBackup(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 1<<18)
	for _, cut := range []int{len(data), len(data) / 2} {
		s, err := admintest.Serve(admin.Config{Steward: admintest.New(nil), Keeper: &keeper{data, cut}})
		must(t, s, err)
		c := dial(t, adminclient.Options{Socket: s.Socket})
		var got bytes.Buffer
		size := int64(0)
		err = c.Backup(within(t, time.Minute), func(n int64) io.Writer { size = n; return &got })
		whole := cut == len(data)
		if (err == nil) != whole || size != int64(len(data)) || whole && !bytes.Equal(got.Bytes(), data) {
			t.Errorf("cut at %d: %v, %d of %d bytes", cut, err, got.Len(), size)
		}
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
