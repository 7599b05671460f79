package page_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What people see and do, each in a tab of one browser.
func TestBrowser(t *testing.T) {
	browser := newBrowser(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context)
	}{
		{"formation", testFormation},
		{"changes", testChanges},
		{"no changes", testNoChanges},
		{"without script", testWithoutScript},
		{"keyboard", testKeyboard},
		{"copy", testCopy},
		{"storm", testStorm},
		{"many", testMany},
		{"interruption", testInterruption},
		{"names", testNames},
		{"real", testReal},
		{"pages", testPages},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, browser) })
	}
}

// furnish gives a registry all that a page can show.
func furnish(r *admintest.Registry) {
	r.Update(func(about *api.Registry) {
		about.Name, about.Version, about.Store = "registry.example.org", "1.4.0", "bolt"
		about.Line = "xlreg://registry.example.org:56789/?sig=SHA256:" + "3q2-7w" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx"
		about.Endpoints = []string{"registry.example.org:56789", "192.0.2.7:56789"}
		about.Bytes, about.Waiting = 48_318_000, 12
		about.Formations = []api.Formation{
			{Sizes: "2", Bounds: []int64{10, 30, 100, 300, 1000, 3000, 10000, 30000}, Counts: []uint64{3, 210, 801, 422, 96, 31, 12, 2, 1}, Count: 1578, Seconds: 402.5},
			{Sizes: "3–5", Bounds: []int64{10, 30, 100, 300, 1000, 3000, 10000, 30000}, Counts: []uint64{0, 12, 190, 610, 302, 88, 30, 9, 4}, Count: 1245, Seconds: 811},
			{Sizes: "6–64", Bounds: []int64{10, 30, 100, 300, 1000, 3000, 10000, 30000}, Counts: []uint64{0, 0, 3, 18, 44, 27, 12, 6, 0}, Count: 110, Seconds: 233},
			{Sizes: "65–1024", Bounds: []int64{10, 30, 100, 300, 1000, 3000, 10000, 30000}, Counts: make([]uint64, 9)},
		}
	})
	for i := range 24 {
		r.Form(r.Create(fmt.Sprintf("job-%04d", i), 2+i%5))
	}
	large := r.Create("simulation-of-the-whole-machine-hall", 1024)
	for i := range 700 {
		r.Join(large, fmt.Sprintf("rank-%03d.rack-%d.hall.example.org", i, i/40), 0)
	}
	medium := r.Create("training", 48)
	for i := range 31 {
		r.Join(medium, fmt.Sprintf("gpu-%02d", i), time.Hour)
	}
	reduced := r.Create("postgres", 3)
	r.Form(reduced)
	r.Leave(reduced, "m1")
	r.Create("a-name-that-is-as-long-as-names-may-be-and-longer-than-anybody-would-want-to-read-it-on-a-card", 7)
	r.Own(r.Create("staging-etcd", 5), admintest.Fingerprint("owner"))
	late := r.Create("web", 5)
	r.Join(late, "alice", 30*time.Second)
	r.Join(late, "bob", time.Hour)
	r.Join(late, "carol", 0)
	var nodes []api.Node
	var sessions []api.Session
	for i := range 120 {
		name := fmt.Sprintf("node-%d", i)
		day := time.Date(2026, 11, 1+i%26, 0, 0, 0, 0, time.UTC)
		nodes = append(nodes, api.Node{ID: admintest.Fingerprint(name)[7:], Name: name, Key: admintest.Fingerprint(name), KeyKind: "P-256",
			Endpoints: []string{fmt.Sprintf("192.0.2.%d:7001", i)}, Seen: &day})
		sessions = append(sessions, api.Session{ID: uint64(i + 1), From: fmt.Sprintf("192.0.2.%d:40%03d", i, i), Protocol: "2.0",
			Node: admintest.Fingerprint(name)[7:], Began: time.Now().Add(-time.Duration(i) * time.Minute), Requests: i * 3})
	}
	sessions[3].Waits, sessions[4].Node, sessions[4].Protocol = late, "", ""
	r.SetNodes(nodes...)
	r.SetSessions(sessions...)
	used := []int64{9720, 51, 118}
	r.SetLimits(
		api.Limit{Name: "max-connections", Value: 10_000, Unit: "connections", Used: &used[0], Refused: 17},
		api.Limit{Name: "max-connections-per-source", Value: 64, Unit: "connections", Used: &used[1], By: "2001:db8:17::/56", Refused: 3},
		api.Limit{Name: "max-clusters", Value: 50_000, Unit: "clusters", Used: &used[2]},
		api.Limit{Name: "max-bytes-per-minute", Value: 600, Unit: "MiB/min"},
	)
}

// A cluster of five forms before somebody's eyes.
func testFormation(t *testing.T, browser context.Context) {
	r := admintest.New(nil)
	base, _ := serve(t, r)
	b := newTab(t, browser, base)
	b.open("/")
	b.live()
	b.says(".nothing", "No cluster yet")
	b.picture("overview-empty")
	b.axe("the overview of an empty registry")
	id := r.Create("web", 5)
	b.says(".card", "web")
	for i, name := range []string{"alice", "bob", "carol", "dave", "erin"} {
		b.says(".card .facts", fmt.Sprintf("%d of 5", i))
		r.Join(id, name, 0)
		b.says(".card .who", name)
	}
	b.says(".card .state", "full")
	b.says(".card .gap", "formed in")
	r.Leave(id, "dave")
	b.says(".card .state", "reduced")
	b.says(".card .gap", "1 missing, seat 3 for")
	r.Vanish(id)
	b.says(".card .state", "gone")
	if n := eval[int](b, `document.querySelectorAll(".card").length`); n != 1 {
		t.Errorf("%d cards", n)
	}
}

// Every page, in light and dark, on a wide screen and a narrow one.
func testPages(t *testing.T, browser context.Context) {
	r := admintest.New(nil)
	furnish(r)
	found, err := r.Clusters(t.Context(), api.ClusterQuery{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]string)
	for _, c := range found.Items {
		ids[c.Name] = c.ID
	}
	base, _ := serve(t, r)
	b := newTab(t, browser, base)
	for name, path := range map[string]string{
		"overview": "/", "clusters": "/clusters", "clusters-none": "/clusters?match=nothing+like+it", "cluster": "/clusters/" + ids["web"],
		"cluster-1024": "/clusters/" + ids["simulation-of-the-whole-machine-hall"], "cluster-owned": "/clusters/" + ids["staging-etcd"],
		"nodes": "/nodes", "sessions": "/sessions", "limits": "/limits", "problem": "/nowhere",
	} {
		b.do(chromedp.EmulateViewport(1280, 900))
		b.theme("light")
		b.open(path)
		if eval[bool](b, `"events" in document.body.dataset`) {
			b.live()
		}
		if name == "cluster-1024" { // that of any other, with more rows
			b.picture(name)
			b.fits(name)
			continue
		}
		b.axe(name + ", light")
		b.picture(name + "-light-1280")
		b.theme("dark")
		b.axe(name+", dark", "color-contrast")
		b.picture(name + "-dark-1280")
		b.do(chromedp.EmulateViewport(320, 640))
		b.axe(name+", narrow", "target-size", "scrollable-region-focusable", "region", "heading-order")
		b.picture(name + "-dark-320")
		b.fits(name)
	}
}

// fits reports a page that is too wide for a narrow screen.
func (b *tab) fits(name string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(320, 640))
	if over := eval[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		b.t.Errorf("%s is %d pixels too wide for a narrow screen", name, over)
	}
}
