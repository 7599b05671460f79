package page_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// watch counts what a page does to its reader: nodes that are replaced, shifts of the
// layout, and tasks so long that the browser does not answer.
const watch = `(() => {
	const w = globalThis.watched = {removed: 0, added: 0, shift: 0, long: 0, longest: 0};
	new MutationObserver(all => {
		for (const m of all) for (const n of m.removedNodes) if (n.nodeType === 1) w.removed++;
		for (const m of all) for (const n of m.addedNodes) if (n.nodeType === 1) w.added++;
	}).observe(document.querySelector("main"), {childList: true, subtree: true});
	new PerformanceObserver(l => { for (const e of l.getEntries()) w.shift += e.value }).observe({type: "layout-shift"});
	new PerformanceObserver(l => { for (const e of l.getEntries()) { w.long++; w.longest = Math.max(w.longest, e.duration) } }).observe({type: "longtask"});
})()`

type watched struct {
	Removed, Added int
	Shift          float64
	Long           int
	Longest        float64
}

// storm lets clusters form and lose members, 1,000 changes a second, until what is shown
// has been painted anew often enough. It returns how many changes there were.
func storm(t *testing.T, r *admintest.Registry, b *tab) int {
	t.Helper()
	const clusters = 250
	ids := make([]string, clusters)
	for i := range ids {
		ids[i] = r.Create(fmt.Sprintf("storm-%d", i), 4)
	}
	changes := 0
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		<-tick.C
		for range 10 {
			id, round := ids[changes%clusters], changes/clusters
			member := fmt.Sprintf("m%d", round%4)
			if round/4%2 == 0 {
				r.Join(id, member, 0)
			} else {
				r.Leave(id, member)
			}
			changes++
		}
	}
	return changes
}

func testStorm(t *testing.T, browser context.Context) {
	for _, path := range []string{"/", "/clusters", "/clusters?order=name"} {
		r := admintest.New(nil)
		for i := range 60 {
			r.Form(r.Create(fmt.Sprintf("still-%d", i), 4))
		}
		base, _ := serve(t, r)
		b := newTab(t, browser, base)
		b.open(path)
		b.live()
		eval[chromedp.Void](b, watch)
		n := storm(t, r, b)
		w := eval[watched](b, "watched")
		t.Logf("%s: after %d changes %+v", path, n, w)
		if w.Removed > 0 || w.Added > 12 {
			t.Errorf("%s: %d nodes were removed and %d added: rows are to be used again", path, w.Removed, w.Added)
		}
		if w.Shift > 0.01 {
			t.Errorf("%s: the layout shifted by %v", path, w.Shift)
		}
		// Each task is the work of one batch; the machine is slow when others use it.
		if w.Longest > 1000 {
			t.Errorf("%s: the page stood still for %v ms", path, w.Longest)
		}
		b.until(`document.querySelector("#status").textContent === ""`)
	}
}

// A registry with 50,000 clusters has pages like any other.
func testMany(t *testing.T, browser context.Context) {
	r := admintest.New(nil)
	for i := range 50_000 {
		r.Create(fmt.Sprintf("cluster-%05d", i), 3)
	}
	base, _ := serve(t, r)
	b := newTab(t, browser, base)
	b.open("/clusters")
	b.live()
	b.says("h1", "50\u202f000")
	if n := eval[int](b, `document.querySelectorAll("tbody tr").length`); n != api.DefaultPage {
		t.Errorf("%d rows", n)
	}
	b.picture("clusters-50000")
	b.follow(".pages a:last-child", "cursor=")
	b.says("tbody", "cluster-49949")
	b.live()
	r.Create("cluster-50000", 3)
	b.says("#news", "1 more cluster has changed")
	b.follow(".pages a:first-child", "/clusters")
	b.says("tbody", "cluster-50000")
}

// A registry that cannot be followed for a while is shown as it is afterwards, and the
// page says that it was not live.
func testInterruption(t *testing.T, browser context.Context) {
	r := admintest.New(nil)
	id := r.Create("web", 3)
	other := r.Create("gone", 3)
	base, _ := serve(t, r)
	b := newTab(t, browser, base)
	b.open("/clusters")
	b.live()
	r.Join(id, "alice", 0)
	b.says("tbody", "1 of 3")
	r.Vanish(other)
	r.ForgetHistory()
	b.until(`document.querySelectorAll("tbody tr").length === 1`)
	b.until(`!document.querySelector("tbody").innerText.includes("gone")`)
	r.Join(id, "bob", 0)
	b.says("tbody", "2 of 3")
	b.open("/clusters/" + id)
	b.live()
	r.Join(id, "carol", 0)
	b.says("h1", "full")
}

// Names are text, whatever is in them.
func testNames(t *testing.T, browser context.Context) {
	const name = `<img src=x onerror=alert(1)>"'&amp;{{.}}`
	r := admintest.New(nil)
	r.Update(func(about *api.Registry) { about.Name = name })
	id := r.Create(name, 3)
	base, _ := serve(t, r)
	b := newTab(t, browser, base)
	for _, path := range []string{"/", "/clusters", "/clusters/" + id, "/clusters?match=" + strings.ReplaceAll(`"><script>alert(1)</script>`, ">", "%3E")} {
		b.open(path)
		b.live()
		b.says("header", name)
		if n := eval[int](b, `document.images.length + document.scripts.length`); n != 1 {
			t.Errorf("%s: %d scripts and images", path, n)
		}
	}
	b.open("/clusters/" + id)
	b.live()
	r.Join(id, name, 0)
	b.says(".member", name)
	b.says("#status", name)
}
