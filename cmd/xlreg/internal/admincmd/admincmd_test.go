package admincmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	adminside "github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// side is a real admin side over a registry that does what a test says.
type side struct {
	*admintest.Registry
	*admintest.Served
	t    *testing.T
	data string // directory
}

func serve(t *testing.T) *side {
	t.Helper()
	r := admintest.New(nil)
	s, err := admintest.Serve(adminside.Config{Steward: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &side{r, s, t, filepath.Dir(s.Socket)}
}

// run runs 'xlreg admin …' on the registry.
func (s *side) run(line string) (out, errs string, err error) {
	return execute(s.t.Context(), strings.Fields("admin --data "+s.data+" "+line)...)
}

func execute(ctx context.Context, args ...string) (out, errs string, err error) {
	var stdout, stderr bytes.Buffer
	g := &cli.Globals{Console: &cli.Console{In: strings.NewReader(""), Out: &stdout, Err: &stderr}}
	root := &cobra.Command{Use: "xlreg", SilenceErrors: true, SilenceUsage: true}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return g.Prepare(cmd) }
	g.Register(root)
	root.AddCommand(New(g))
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err = root.ExecuteContext(ctx)
	return stdout.String(), stderr.String(), err
}

// has runs a command that has to do well, and looks for words in what it prints.
func (s *side) has(line string, words ...string) string {
	s.t.Helper()
	out, errs, err := s.run(line)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			s.t.Errorf("%s: no %q in\n%s%s", line, word, out, errs)
		}
	}
	return out
}

// fails runs a command that has to fail with a kind of error, and with words.
func (s *side) fails(kind error, line string, words ...string) {
	s.t.Helper()
	out, _, err := s.run(line)
	if !errors.Is(err, kind) || out != "" {
		s.t.Errorf("%s: got %v, want %v; %q", line, err, kind, out)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			s.t.Errorf("%s: no %q in %v", line, word, err)
		}
	}
}

func TestShows(t *testing.T) {
	s := serve(t)
	id := s.Create("web", 5)
	s.Join(id, "m0", 30*time.Second)
	s.Join(id, "m1", 0)
	s.SetNodes(api.Node{ID: strings.Repeat("ab", 32), Name: "n1", KeyKind: "P-256"})
	s.SetSessions(api.Session{ID: 7, From: "10.0.0.1:5", Began: time.Now(), Waits: id})
	used := int64(9)
	s.SetLimits(api.Limit{Name: "max-nodes", Value: 10, Unit: "nodes", Used: &used, By: "10.0.0.1", Refused: 3})
	s.Update(func(r *api.Registry) {
		r.Formations = []api.Formation{{Sizes: "3-5", Bounds: []int64{100, 1000}, Counts: []uint64{0, 0, 0}}}
	})
	if out := s.has("status", "registry"); strings.Contains(out, "FORMED") {
		t.Errorf("there is a table of nothing:\n%s", out)
	}
	s.Update(func(r *api.Registry) {
		r.Formations = []api.Formation{{Sizes: "3-5", Bounds: []int64{100, 1000}, Counts: []uint64{5, 4, 1}, Count: 10, Seconds: 4}}
	})
	s.has("status", "registry", "fake", "state      ready", "1: 1 forming", "3-5   10      400ms  100ms        over 1.0s")
	s.has("status -o json", `"fingerprint": "SHA256:`)
	s.has("clusters", "web   "+id[:12]+"  forming  2/5      2-4")
	s.has("clusters --wide", id)
	s.has("clusters --state full", "NAME")
	s.has("clusters --match we --newer 1h --order name -o json", `"items": [`, `"taken": [`)
	s.has("cluster web", "forming, 2 of 5 members", "missing    index 2-4", "0      m0", "127.0.0.1:7001")
	s.has("cluster "+id, "web")
	s.has("cluster "+id[:8]+" -o json", `"seats": [`)
	s.has("cluster web -o wide", admintest.Fingerprint("m0"))
	s.has("nodes", "n1")
	s.has("nodes "+strings.Repeat("ab", 32)+" -o json", `"key_kind": "P-256"`)
	s.has("sessions", "7        10.0.0.1:5", id[:12])
	s.has("limits", "max-nodes  9     10  nodes  10.0.0.1  3")
	s.has("limits -o json", `"items": [`)
	for line, words := range map[string]string{
		"status x":              "unexpected argument",
		"clusters --state odd":  "want forming, full, reduced or empty",
		"clusters --order odd":  "want newest or name",
		"clusters --limit 0":    "want 1 to 500",
		"clusters --older=-10s": "a time that has passed",
		"cluster":               "missing CLUSTER",
		"sessions --limit 501":  "want 1 to 500",
	} {
		if _, _, err := s.run(line); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", line, err)
		}
	}
	s.fails(api.ErrNotFound, "cluster nope", `"nope"`)
	s.fails(api.ErrNotFound, "nodes "+strings.Repeat("cd", 32))
}

func TestChanges(t *testing.T) {
	s := serve(t)
	id := s.Create("web", 3)
	s.Form(id)
	s.has("evict web m0 --yes", "evicted m0 from web\n")
	s.has("ban web m1 --yes -o json", `"evicted": [`, `"m1"`)
	s.has("ban web "+admintest.Fingerprint("m2")+" --yes", "from web: 1 seat freed")
	s.has("reopen web --yes", "reopened web\n")
	s.has("drain", "draining")
	s.has("drain --off", "again")
	s.has("log-level debug -o json", `"done": "debug"`)
	s.SetNodes(api.Node{ID: strings.Repeat("ab", 32), Name: "n1"}, api.Node{ID: strings.Repeat("ac", 32), Name: "n2"})
	s.has("forget abab --yes", "forgot n1\n")
	s.has("forget n2 --yes", "forgot n2\n")
	s.has("delete web --yes", "deleted web\n")
	var deeds []string
	for _, d := range s.Deeds() {
		deeds = append(deeds, d.What)
	}
	if len(deeds) != 10 {
		t.Errorf("deeds %q", deeds)
	}
	s.fails(api.ErrNotFound, "delete web --yes", `"web"`)
	s.fails(api.ErrNotFound, "forget n1 --yes", `"n1"`)
	s.fails(cli.ErrUsage, "log-level loud", "want debug, info, warn or error")
	id = s.Create("owned", 3)
	s.Own(id, admintest.Fingerprint("owner"))
	for _, line := range []string{"evict owned m0", "ban owned m0", "reopen owned", "delete owned"} {
		s.fails(api.ErrOwned, line+" --yes")
	}
}

// Where nobody can be asked nothing is done without --yes.
func TestAsks(t *testing.T) {
	s := serve(t)
	id := s.Create("web", 3)
	s.Form(id)
	s.SetNodes(api.Node{ID: strings.Repeat("ab", 32), Name: "n1"})
	for line, words := range map[string]string{
		"evict web m0":        "Evict m0 from the cluster web (" + id[:12] + ", full, 3 of 3 members): nobody is here",
		"ban web m0":          "Ban m0 from",
		"reopen web":          "Free all seats of the cluster web",
		"delete web":          "Delete the cluster web",
		"forget n1":           "Forget the node n1",
		"tokens revoke admin": "Revoke the token admin",
	} {
		s.fails(cli.ErrUsage, line, words, "say --yes")
	}
	if len(s.Deeds()) != 0 {
		t.Errorf("deeds %+v", s.Deeds())
	}
}

// What was agreed to is done only as long as it is what was shown.
func TestAgreedTo(t *testing.T) {
	c := &api.Cluster{Epoch: 2, Revision: 7}
	if tag := (&consent{}).asked(c); tag != `"2.7"` {
		t.Errorf("asked: %q", tag)
	}
	if tag := (&consent{yes: true}).asked(c); tag != "" {
		t.Errorf("not asked: %q", tag)
	}
}

func TestTokens(t *testing.T) {
	s := serve(t)
	secret := strings.TrimSpace(s.has("tokens create ci --read-only"))
	s.has("tokens list", "ci     read")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	away := []string{"admin", "--url", s.URL, "--admin-token-file", file}
	if out, _, err := execute(t.Context(), append(away, "status")...); err != nil || !strings.Contains(out, "fake") {
		t.Errorf("with a token: %v", err)
	}
	if _, _, err := execute(t.Context(), append(away, "drain")...); !errors.Is(err, adminclient.ErrNotAllowed) {
		t.Errorf("with one that may only read: %v", err)
	}
	s.has("tokens revoke ci --yes", "revoked ci")
	if _, _, err := execute(t.Context(), append(away, "status")...); !errors.Is(err, adminclient.ErrNoToken) || strings.Contains(err.Error(), secret) {
		t.Errorf("with one that was revoked: %v", err)
	}
	s.has("tokens create ci -o json", `"secret": "xlra_`)
	s.fails(api.ErrInvalid, "tokens create ci", "ci")
	s.fails(api.ErrNotFound, "tokens revoke nobody --yes", "nobody")
}

// One name can be that of an open cluster and of several that have owners.
func TestAmbiguousNames(t *testing.T) {
	s := serve(t)
	open, owned := s.Create("web", 3), s.Create("web", 3)
	s.Own(owned, admintest.Fingerprint("owner"))
	s.fails(ErrAmbiguous, "cluster web", open, owned, "open", admintest.Fingerprint("owner"))
	s.fails(ErrAmbiguous, "delete web --yes", open)
	s.has("cluster "+owned, admintest.Fingerprint("owner"))
	s.has("delete "+open+" --yes", "deleted web")
	s.has("cluster web", owned)
}

func TestPlace(t *testing.T) {
	s := serve(t)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("two words"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("x"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, words := range map[string]string{
		"--data x --url " + s.URL:                        "name two registries",
		"--url http://example.org":                       "https://",
		"--url example.org":                              "want a URL",
		"--url " + s.URL + " --admin-token-file " + bad:  "want one token",
		"--url " + s.URL + " --admin-token-file " + long: "longer than any token",
		"--url " + s.URL + " --admin-token-file nowhere": "no such file",
		"--url " + s.URL + " --admin-ca " + bad:          "certificates in PEM",
		"--url " + s.URL + " --admin-ca SHA256:x":        "fingerprint",
		"--url " + s.URL + " --admin-cert " + bad:        "belong together",
		"--data " + dir:                                  "no registry answers at " + dir,
	} {
		if _, _, err := execute(t.Context(), strings.Fields("admin status "+line)...); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", line, err)
		}
	}
	t.Setenv("XLREG_ADMIN_URL", s.URL)
	if out, _, err := execute(t.Context(), "admin", "status"); err != nil || !strings.Contains(out, "fake") {
		t.Errorf("XLREG_ADMIN_URL: %v", err)
	}
	if _, _, err := execute(t.Context(), "admin", "status", "--data", dir); !errors.Is(err, adminclient.ErrNotServed) {
		t.Errorf("a flag comes before the environment: %v", err)
	}
}

func TestCompletion(t *testing.T) {
	s := serve(t)
	id := s.Create("web", 3)
	s.Join(id, "m0", 0)
	s.Create("db", 2)
	s.Own(s.Create("twin", 2), admintest.Fingerprint("owner"))
	s.Create("twin", 2)
	s.SetNodes(api.Node{ID: strings.Repeat("ab", 32), Name: "n1"})
	for line, want := range map[string]string{
		"cluster w":         "web\tforming, 1 of 3 members",
		"cluster " + id[:6]: id + "\tweb, forming, 1 of 3 members",
		"delete t":          "twin\t2 clusters",
		"evict web ":        "m0\tindex 0, 127.0.0.1:7001",
		"ban web m":         "m0\tindex 0, 127.0.0.1:7001",
		"forget a":          strings.Repeat("ab", 32) + "\tn1",
		"tokens revoke a":   "admin",
		"evict web m0 ":     "",
		"evict nope ":       "",
	} {
		args := append([]string{"__complete", "admin", "--data", s.data}, strings.Split(line, " ")...)
		out, _, err := execute(t.Context(), args...)
		if want += ":4\n"; err != nil || strings.Replace(want, ":4", "\n:4", 1) != out && strings.TrimPrefix(want, "\n") != out {
			t.Errorf("%q: %q, %v", line, out, err)
		}
	}
	began := time.Now()
	out, _, err := execute(t.Context(), "__complete", "admin", "--data", t.TempDir(), "cluster", "w")
	if err != nil || out != ":4\n" || time.Since(began) > 30*time.Second {
		t.Errorf("nobody there: %q, %v", out, err)
	}
}

// Every table fits 80 columns, whatever the names, and shows all of them if that is asked.
func TestTablesFit(t *testing.T) {
	s := serve(t)
	long := strings.Repeat("a-name-", 18)
	id := s.Create(long, 64)
	s.Own(id, admintest.Fingerprint("owner"))
	for range 3 {
		s.Join(id, long, time.Hour)
	}
	s.SetNodes(api.Node{ID: strings.Repeat("ab", 32), Name: long, Key: admintest.Fingerprint("n"), KeyKind: "RSA-4096", Endpoints: []string{long + ":1", long + ":2"}})
	s.SetSessions(api.Session{ID: 1 << 40, From: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", Protocol: "2.0", Node: strings.Repeat("ab", 32), Waits: id})
	s.SetLimits(api.Limit{Name: "max-connections-per-address", Value: 1 << 40, Unit: "connections", By: "2001:db8:1111:2222::/64", Refused: 1 << 40})
	for _, line := range []string{"clusters", "nodes", "sessions", "limits", "tokens list"} {
		for row := range strings.Lines(s.has(line)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(row, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", line, n, row)
			}
		}
	}
	out := s.has("cluster "+id, "a-name-")
	_, rows, _ := strings.Cut(out, "\n\n")
	for row := range strings.Lines(rows) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(row, "\n")); n > 80 {
			t.Errorf("members: %d columns: %s", n, row)
		}
	}
	s.has("clusters --wide", long, id, admintest.Fingerprint("owner"))
}

// Names give no orders to a terminal.
func TestNothingSteersTheTerminal(t *testing.T) {
	s := serve(t)
	id := s.Create("web\033[2J", 2)
	s.Join(id, "m\033]0;x\a", 0)
	s.Update(func(r *api.Registry) { r.Name = "x\033[2J" })
	for _, line := range []string{"status", "clusters", "cluster " + id} {
		if out := s.has(line); strings.ContainsAny(out, "\033\a") {
			t.Errorf("%s: %q", line, out)
		}
	}
}

func TestMorePages(t *testing.T) {
	s := serve(t)
	for range 3 {
		s.Create("web", 2)
	}
	out, errs, err := s.run("clusters --limit 2")
	if err != nil || strings.Count(out, "\n") != 3 || !strings.Contains(errs, "there are more, 3 in all") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	_, after, _ := strings.Cut(strings.TrimSpace(errs), "--cursor ")
	cursor, _, _ := strings.Cut(after, " ")
	if out := s.has("clusters --limit 2 --cursor " + cursor); strings.Count(out, "\n") != 2 {
		t.Errorf("second page %q", out)
	}
}

func TestBackupFromElsewhere(t *testing.T) {
	s := serve(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(s.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "data")
	_, _, err := execute(t.Context(), "admin", "backup", file, "--url", s.URL, "--admin-token-file", token)
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	if !errors.Is(err, api.ErrUnsupported) || len(left) != 0 {
		t.Errorf("%v, left %q", err, left)
	}
}

// JSON is that of the API, and can be read as it.
func TestJSON(t *testing.T) {
	s := serve(t)
	s.Form(s.Create("web", 2))
	var page api.Page[api.Cluster]
	if err := json.Unmarshal([]byte(s.has("clusters -o json")), &page); err != nil || len(page.Items) != 1 {
		t.Errorf("%v, %+v", err, page)
	}
	var detail api.ClusterDetail
	if err := json.Unmarshal([]byte(s.has("cluster web -o json")), &detail); err != nil || len(detail.Seats) != 2 {
		t.Errorf("%v, %+v", err, detail)
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		taken []int
		size  int
		want  string
	}{
		{nil, 3, "0-2"}, {[]int{0, 1, 2}, 3, "-"}, {[]int{1}, 3, "0,2"}, {[]int{0, 3, 9}, 12, "1-2,4-8,10-11"},
	} {
		if got := Missing(c.taken, c.size); got != c.want {
			t.Errorf("%v of %d: %q, want %q", c.taken, c.size, got, c.want)
		}
	}
}

func TestTexts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", 999 * time.Millisecond: "999ms", 1500 * time.Millisecond: "1.5s", 59 * time.Second: "59s",
		3 * time.Minute: "3m", 3 * time.Hour: "3h", 72 * time.Hour: "3d",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{1: "1 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1536 << 10: "1.5 MiB", 1 << 62: "4.0 EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for _, c := range []struct {
		text string
		most int
		want string
	}{{"abcdef", 6, "abcdef"}, {"abcdefghij", 5, "ab…ij"}, {"äöüß", 3, "ä…ß"}} {
		if got := cutMiddle(c.text, c.most); got != c.want {
			t.Errorf("%q to %d: %q", c.text, c.most, got)
		}
	}
}
