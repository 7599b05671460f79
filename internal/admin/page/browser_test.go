package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/page"
)

// The browser is Debian's, and what judges the pages is axe-core from npm; make setup
// installs both.
const (
	chromium = "/usr/bin/chromium"
	axeFile  = "testdata/axe/node_modules/axe-core/axe.min.js"
	pictures = "testdata/pictures" // what the pages looked like in these tests
	patience = time.Minute         // for what should come at once, on a busy machine
)

// newBrowser starts one that ends with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("hide-scrollbars", false),
	)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log(err)
		}
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v (make setup installs it)", chromium, err)
	}
	return ctx
}

// tab is one page in a browser, whose console has to stay empty.
type tab struct {
	t    *testing.T
	base string
	soon func() (context.Context, context.CancelFunc) // the tab's, for as long as anything may take
}

// newTab opens a tab for the pages of a registry.
func newTab(browser context.Context, t *testing.T, base string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser)
	b := &tab{t: t, base: base, soon: func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, patience) }}
	if err := chromedp.Do(ctx); err != nil { // opens it
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(1280, 900))
	console, quiet := context.WithCancel(ctx)
	messages := chromedp.Console(console)
	var reader sync.WaitGroup
	reader.Go(func() {
		for m, err := range messages {
			if err == nil && !b.expected(m) {
				t.Errorf("the console says %s: %s (%s)", m.Type, m.Text, m.URL)
			}
		}
	})
	t.Cleanup(func() {
		quiet()
		reader.Wait()
		stop()
	})
	return b
}

// expected are entries about refusals that a test asks for.
func (b *tab) expected(m chromedp.ConsoleMessage) bool {
	return m.Source == "network" && (strings.Contains(m.Text, "401") || strings.HasSuffix(m.URL, "/nowhere"))
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.soon()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.base + path)) }

// eval returns what an expression is in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := b.soon()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to be true.
func (b *tab) until(expression string) {
	b.t.Helper()
	ctx, cancel := b.soon()
	defer cancel()
	often := time.NewTicker(20 * time.Millisecond)
	defer often.Stop()
	for !eval[bool](b, "!!("+expression+")") {
		select {
		case <-often.C:
		case <-ctx.Done():
			b.t.Fatalf("after %v this is not so: %s\nthe page says: %s", patience, expression,
				eval[string](b, "document.querySelector('main').innerText"))
		}
	}
}

// says waits for a text on the page.
func (b *tab) says(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))", selector, text))
}

// live waits until the stream is open.
func (b *tab) live() { b.t.Helper(); b.until(`document.querySelector("#live.on")`) }

func (b *tab) click(selector string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
	eval[chromedp.Void](b, fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// picture keeps what the page looks like.
func (b *tab) picture(name string) {
	b.t.Helper()
	ctx, cancel := b.soon()
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	path, err := filepath.Abs(filepath.Join(pictures, name+".png"))
	if err == nil {
		err = os.MkdirAll(pictures, 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("picture: %s", path)
}

func (b *tab) theme(scheme string) {
	b.t.Helper()
	b.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	})
}

func (b *tab) withoutScript() {
	b.t.Helper()
	b.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

func (b *tab) call(f func(ctx context.Context) error) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error { return f(ctx) }))
}

// axe looks at the page as it is now. It runs in a world of its own, where the policy of
// the page does not hold.
func (b *tab) axe(what string, rules ...string) {
	b.t.Helper()
	script, err := os.ReadFile(axeFile)
	if err != nil {
		b.t.Fatalf("%v (make setup installs it)", err)
	}
	options := map[string]any{"resultTypes": []string{"violations"}}
	if len(rules) > 0 {
		options["runOnly"] = rules
	}
	how, err := json.Marshal(options)
	if err != nil {
		b.t.Fatal(err)
	}
	// Rows are like each other, and it takes its time for each.
	run := `axe.run({exclude: [["tbody tr:nth-child(n+8)"]]}, ` + string(how) + `).then(r => JSON.stringify(
		r.violations.map(v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary).join(" | "))))`
	b.call(func(ctx context.Context) error {
		tree, err := chromedp.Call(ctx, cdppage.GetFrameTree, cdp.Empty{})
		if err != nil {
			return err
		}
		world, err := chromedp.Call(ctx, cdppage.CreateIsolatedWorld, cdppage.CreateIsolatedWorldParams{FrameID: tree.FrameTree.Frame.ID, WorldName: "axe"})
		if err != nil {
			return err
		}
		load := `globalThis.axe ? 0 : (() => {` + string(script) + `})(), 0`
		_, err = chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: load, ContextID: world.ExecutionContextID})
		if err != nil {
			return err
		}
		got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
			Expression: run, ContextID: world.ExecutionContextID, AwaitPromise: new(true), ReturnByValue: new(true),
		})
		if err != nil {
			return err
		}
		var text string
		var found []string
		if err := json.Unmarshal(got.Result.Value, &text); err != nil {
			return fmt.Errorf("%v: %v", got, err)
		}
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			return err
		}
		for _, f := range found {
			b.t.Errorf("%s: axe finds %s", what, f)
		}
		return nil
	})
}

// serve shows a registry on loopback, with an admin side that knows the token returned.
func serve(t *testing.T, r *admintest.Registry) (base, token string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	tokens, err := admin.OpenTokens(filepath.Join(t.TempDir(), admin.TokensFile), log)
	if err != nil {
		t.Fatal(err)
	}
	if token, err = tokens.First(); err != nil {
		t.Fatal(err)
	}
	l, err := admin.ListenTCP(t.Context(), "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s, err := admin.New(admin.Config{
		Steward: r, Tokens: tokens, Logger: log,
		Page: page.New(page.Config{
			Source: r, Logger: log, Done: ctx.Done(),
			MayChange: func(r *http.Request) bool { return admin.VisitorOf(r.Context()).Changes },
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.URL(), token
}
