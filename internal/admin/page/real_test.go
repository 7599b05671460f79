package page_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin"
)

// program is the real one, and a registry that it serves.
type program struct {
	t     *testing.T
	dir   string // bin and data are in it, and homes
	url   string // of the page
	token string
}

// serveProgram builds the program and lets it serve a registry.
func serveProgram(t *testing.T) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(p.dir, "bin", "xlreg"),
		"github.com/xlattice/xlreg/cmd/xlreg").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	data := filepath.Join(p.dir, "data")
	serve := exec.Command(filepath.Join(p.dir, "bin", "xlreg"), "serve", "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	log, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	for p.url == "" && lines.Scan() {
		var line struct{ URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			p.url = line.URL
		}
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		for lines.Scan() { // or it could not log any more
			t.Logf("serve: %s", lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		<-rest
		if err := serve.Wait(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	token, err := os.ReadFile(filepath.Join(data, admin.FirstTokenFile))
	if p.url == "" || err != nil {
		t.Fatalf("the page is at %q, %v", p.url, err)
	}
	p.token = strings.TrimSpace(string(token))
	return p
}

// run starts what somebody has pasted.
func (p *program) run(ctx context.Context, who, commands string) (wait func() error) {
	p.t.Helper()
	cmd := exec.CommandContext(ctx, "sh", "-ec", commands)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(p.dir, "bin")+":"+os.Getenv("PATH"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return func() error {
		err := cmd.Wait()
		p.t.Logf("%s: %v\n%s", who, err, out.String())
		return err
	}
}

// A newcomer opens the page of a real registry, pastes what it says, and sees a cluster
// form; a member's program ends and its seat with it; an admin evicts another.
func testReal(t *testing.T, browser context.Context) {
	p := serveProgram(t)
	b := newTab(t, browser, p.url)
	b.open("/")
	b.live()
	b.says(".nothing", "No cluster yet")
	paste := eval[string](b, `document.querySelector("#line").textContent`)
	if err := p.run(t.Context(), "newcomer", paste+"\nwait")(); err != nil {
		t.Error(err)
	}
	b.says(".card .state", "full")
	b.until(`["a, b", "b, a"].includes(document.querySelector(".card .who").textContent)`)
	b.says(".card .gap", "formed in")
	b.says(`[data-key="formation 2"]`, "1")
	b.picture("real-overview")

	// One of the members of another cluster has a lease, and dies.
	line, _, _ := strings.Cut(paste, "\n")
	join := line + "\nexec xlreg join leased --create --size 2 --node ./%[1]s --name %[1]s --endpoint 127.77.13.%[2]d:7001 --lease 5s -- sleep 600"
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	carol := p.run(ctx, "carol", fmt.Sprintf(join, "carol", 1))
	b.until(`[...document.querySelectorAll(".card")].some(e => e.innerText.includes("leased") && e.innerText.includes("1 of 2"))`)
	dave := p.run(ctx, "dave", fmt.Sprintf(join, "dave", 2))
	defer func() {
		kill()
		_, _ = carol(), dave() // they were stopped
	}()
	b.until(`[...document.querySelectorAll(".card")].some(e => e.innerText.includes("leased") && e.innerText.includes("2 of 2"))`)
	b.follow(".card:has([title='leased']) a", "/clusters/")
	b.live()
	b.says("tbody", "seen")
	b.click(`[data-key="seat 0"] [data-act="evict"]`)
	b.fill("#token", p.token)
	b.click("#dialog-do")
	b.says("h1", "reduced")
	b.says(`[data-key="seat 0"]`, "missing")
	b.picture("real-cluster")
	b.axe("a real cluster")
}
