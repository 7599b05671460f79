package page_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/xlattice/xlreg/internal/admin/admintest"
)

// An admin changes a cluster: with a token that the page forgets, after having been told
// what will happen.
func testChanges(browser context.Context, t *testing.T) {
	r := admintest.New(nil)
	id := r.Create("web", 5)
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin"} {
		r.Join(id, name, time.Hour)
	}
	base, token := serve(t, r)
	b := newTab(browser, t, base)
	b.open("/clusters/" + id)
	b.live()
	b.says("h1", "full")

	b.click(`[data-member="dave"] [data-act="evict"]`)
	b.says("#dialog-title", "Evict dave?")
	b.says("#dialog-text", "dave loses its seat in web")
	b.axe("the dialog")
	b.picture("dialog-light-1280")
	b.fill("#token", "xlra_not_the_token")
	b.click("#dialog-do")
	b.says("#dialog-error", "token is not known")
	if deeds := r.Deeds(); len(deeds) > 0 {
		t.Fatalf("without the token: %v", deeds)
	}
	b.fill("#token", token)
	b.click("#dialog-do")
	b.says("h1", "reduced")
	b.says(`[data-key="seat 3"]`, "missing")
	b.says("#status", "dave has gone. 4 of 5 are in.")

	// The token is still known, and so asked for no more.
	b.click(`[data-member="erin"] [data-act="ban"]`)
	b.says("#dialog-title", "Ban erin?")
	if eval[bool](b, `document.querySelector("#token").checkVisibility()`) {
		t.Error("the token is asked for again")
	}
	b.click("#dialog-cancel")
	b.until(`!document.querySelector("#dialog").open`)
	b.click(`[data-member="erin"] [data-act="ban"]`)
	b.click("#dialog-do")
	b.says("#status", "erin has gone. 3 of 5 are in.")
	b.click(`[data-act="reopen"]`)
	b.click("#dialog-do")
	b.says(".lead", "0 of 5 are in")

	// Nowhere but in the memory of the module.
	if kept := eval[string](b, `JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, document.documentElement.outerHTML])`); strings.Contains(kept, token) {
		t.Error("the token is kept")
	}
	b.do(chromedp.Reload())
	b.live()
	b.click(`[data-act="delete"]`)
	b.until(`document.querySelector("#token").checkVisibility()`)
	b.fill("#token", token)
	b.click("#dialog-do")
	b.says("#live", "deleted")
	var did []string
	for _, d := range r.Deeds() {
		did = append(did, d.What)
	}
	want := "evict dave ban=false, evict erin ban=true, reopen, delete"
	if got := strings.Join(did, ", "); got != want {
		t.Errorf("admins did %q, want %q", got, want)
	}
}

// fill types into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// What an admin has not seen is not changed, and a cluster with an owner not at all.
func testNoChanges(browser context.Context, t *testing.T) {
	r := admintest.New(nil)
	owned := r.Create("owned", 2)
	r.Join(owned, "alice", 0)
	r.Own(owned, admintest.Fingerprint("owner"))
	base, _ := serve(t, r)
	b := newTab(browser, t, base)
	b.open("/clusters/" + owned)
	b.live()
	b.says("main", "Its owner alone can change it.")
	if n := eval[int](b, `document.querySelectorAll("[data-act], dialog").length`); n != 0 {
		t.Errorf("there are %d buttons", n)
	}
}

// Without script everything can be read and searched, and no button is there that does
// nothing.
func testWithoutScript(browser context.Context, t *testing.T) {
	r := admintest.New(nil)
	furnish(r)
	id := r.Create("plain", 3)
	r.Join(id, "alice", 0)
	base, _ := serve(t, r)
	b := newTab(browser, t, base)
	b.withoutScript()
	b.open("/")
	b.says(".card", "plain")
	b.says(".card .who", "alice")
	b.says("#line", "xlreg join")
	b.says("footer", "Load it again")
	b.picture("overview-without-script")
	if n := eval[int](b, `[...document.querySelectorAll("button")].filter(e => e.checkVisibility()).length`); n != 0 {
		t.Errorf("%d buttons do nothing", n)
	}
	b.follow("main a[href='/clusters?state=reduced']", "/clusters?state=reduced")
	b.says("tbody", "postgres")
	b.do(chromedp.SendKeys(chromedp.CSS("#match"), "plain"), chromedp.SetValue(chromedp.CSS("#state"), ""))
	b.follow(".search button", "match=plain")
	b.says("tbody", "plain")
	b.follow("tbody a", "/clusters/"+id)
	b.says("tbody", "alice")
	b.says("pre", "xlreg admin evict "+id)
	if n := eval[int](b, `[...document.querySelectorAll("main button")].filter(e => e.checkVisibility()).length`); n != 0 {
		t.Errorf("%d buttons do nothing", n)
	}
}

// follow clicks as people do, and waits for the page that comes.
func (b *tab) follow(selector, to string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
	b.until(fmt.Sprintf("location.href.includes(%q) && document.readyState === 'complete'", to))
}

// The page is used with the keyboard alone.
func testKeyboard(browser context.Context, t *testing.T) {
	r := admintest.New(nil)
	id := r.Create("web", 2)
	r.Join(id, "alice", 0)
	base, _ := serve(t, r)
	b := newTab(browser, t, base)
	b.open("/clusters/" + id)
	b.live()
	b.do(chromedp.KeyEvent("\t"))
	b.until(`document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().top >= 0`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.activeElement.id === "main"`)
	for range 10 {
		if eval[bool](b, `document.activeElement.dataset.act === "reopen"`) {
			break
		}
		b.do(chromedp.KeyEvent("\t"))
	}
	b.until(`document.activeElement.dataset.act === "reopen" && getComputedStyle(document.activeElement).outlineStyle === "solid"`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("#dialog").open && document.activeElement.id === "token"`)
	b.do(chromedp.KeyEvent("\x1b"))
	b.until(`!document.querySelector("#dialog").open && document.activeElement.dataset.act === "reopen"`)
}

// Copying puts the commands where they can be pasted from.
func testCopy(browser context.Context, t *testing.T) {
	r := admintest.New(nil)
	base, _ := serve(t, r)
	b := newTab(browser, t, base)
	b.open("/")
	b.live()
	// A browser on plain HTTP from elsewhere has no clipboard.
	eval[chromedp.Void](b, `Object.defineProperty(navigator, "clipboard", {value: undefined})`)
	b.click("[data-copy]")
	b.until(`document.querySelector("#copied").textContent !== ""`)
	if got := eval[string](b, `getSelection().toString()`); !strings.Contains(got, "export XLREG_REGISTRY='xlreg://") {
		t.Errorf("selected is %q", got)
	}
}
