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
// layout since it was opened, and tasks so long that the browser does not answer.
const watch = `(() => {
	const w = globalThis.watched = {removed: 0, added: 0, texts: 0, shift: 0, moved: [], long: 0, longest: 0};
	new MutationObserver(all => {
		w.texts += all.length;
		for (const m of all) for (const n of m.removedNodes) if (n.nodeType === 1) w.removed++;
		for (const m of all) for (const n of m.addedNodes) if (n.nodeType === 1) w.added++;
	}).observe(document.querySelector("main"), {childList: true, attributes: true, subtree: true});
	new PerformanceObserver(l => { for (const e of l.getEntries()) {
		w.shift += e.value;
		for (const s of e.sources) w.moved.push(s.previousRect.y + " -> " + s.currentRect.y + ": " + s.node?.className + " " + s.node?.textContent.trim().slice(0, 20));
	} }).observe({type: "layout-shift", buffered: true});
	new PerformanceObserver(l => { for (const e of l.getEntries()) { w.long++; w.longest = Math.max(w.longest, e.duration) } }).observe({type: "longtask"});
})()`

type watched struct {
	Removed, Added, Texts int
	Shift                 float64
	Moved                 []string
	Long                  int
	Longest               float64
}

// storm lets clusters form and lose members, 1,000 changes a second, for a while. It
// returns how many changes there were.
func storm(r *admintest.Registry, ids []string) int {
	changes := 0
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		<-tick.C
		for range 10 {
			change(r, ids, changes)
			changes++
		}
	}
	return changes
}

func createMany(r *admintest.Registry, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = r.Create(fmt.Sprintf("storm-%d", i), 4)
	}
	return ids
}

// change lets members join until all clusters are full, and then leave.
func change(r *admintest.Registry, ids []string, n int) {
	id, round := ids[n%len(ids)], n/len(ids)
	member := fmt.Sprintf("m%d", round%4)
	if round/4%2 == 0 {
		r.Join(id, member, 0)
		return
	}
	r.Leave(id, member)
}

func testStorm(browser context.Context, t *testing.T) {
	for _, path := range []string{"/", "/clusters"} {
		r := admintest.New(nil)
		for i := range 60 {
			r.Form(r.Create(fmt.Sprintf("still-%d", i), 4))
		}
		var ids []string
		if path != "/" { // whose slots take in what is new
			ids = createMany(r, 250)
		}
		base, _ := serve(t, r)
		b := newTab(browser, t, base)
		b.open(path)
		b.live()
		eval[chromedp.Void](b, watch)
		if ids == nil {
			ids = createMany(r, 250)
		}
		n := storm(r, ids)
		b.says("main", "storm-")
		b.until("watched.texts >= 100") // on a slow machine the last come after the storm
		w := eval[watched](b, "watched")
		// How long tasks take is logged and not judged: that depends on the machine.
		t.Logf("%s: after %d changes %d removed, %d added, %d texts, shift %.4f, %d long, longest %v ms", path, n, w.Removed, w.Added, w.Texts, w.Shift, w.Long, w.Longest)
		if w.Removed > 0 || w.Added > 12 {
			t.Errorf("%s: %d nodes were removed and %d added: rows are to be used again", path, w.Removed, w.Added)
		}
		if w.Shift > 0.01 {
			t.Errorf("%s: the layout shifted by %v: %q", path, w.Shift, w.Moved)
		}
		b.until(`document.querySelector("#status").textContent === ""`)
	}
}

// A registry with 50,000 clusters has pages like any other.
func testMany(browser context.Context, t *testing.T) {
	r := admintest.New(nil)
	for i := range 50_000 {
		r.Create(fmt.Sprintf("cluster-%05d", i), 3)
	}
	base, _ := serve(t, r)
	b := newTab(browser, t, base)
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
func testInterruption(browser context.Context, t *testing.T) {
	r := admintest.New(nil)
	id := r.Create("web", 3)
	other := r.Create("gone", 3)
	base, _ := serve(t, r)
	b := newTab(browser, t, base)
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
func testNames(browser context.Context, t *testing.T) {
	const name = `<img src=x onerror=alert(1)>"'&amp;{{.}}`
	r := admintest.New(nil)
	r.Update(func(about *api.Registry) { about.Name = name })
	id := r.Create(name, 3)
	base, _ := serve(t, r)
	b := newTab(browser, t, base)
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
