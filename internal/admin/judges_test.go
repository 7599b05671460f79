package admin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/child"
)

const (
	judges      = "testdata/openapi"
	judgingTime = 5 * time.Minute // they take a tenth of it
)

// tool returns the path of a program that 'make setup' installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(judges, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: run make setup", err)
	}
	return path
}

// A linter that knows OpenAPI 3.1 finds nothing.
func TestOpenAPIIsValid(t *testing.T) {
	redocly := tool(t, "node_modules/.bin/redocly")
	file, err := filepath.Abs(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), redocly, "lint", "--max-problems", "20", "--format", "stylish", file)
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_COLOR=1")
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "is valid") || strings.Contains(string(out), "warning") {
		t.Errorf("%v: %s", err, out)
	}
}

// try lets schemathesis ask what the description allows, and what it does not. It leaves
// out what does not end.
func try(t *testing.T, url string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), judgingTime)
	defer cancel()
	config, err := filepath.Abs(filepath.Join(judges, "schemathesis.toml"))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"--config-file", config, "run", url + "/api/v1/openapi.yaml", "--no-color", "--seed", "1", "--generation-deterministic", "--request-timeout", "10",
		"--exclude-operation-id", "follow", "--exclude-operation-id", "backup",
	}, args...)
	cmd := exec.CommandContext(ctx, tool(t, ".venv/bin/schemathesis"), args...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), "Tested: ") {
		t.Errorf("nothing was tried: %s", out)
	}
}

func TestAPIKeepsToItsDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t, admin.Config{Bounds: admin.Bounds{Failures: 100_000}})
	id := w.registry.Create("orchestra", 3)
	w.registry.Join(id, "violin", time.Minute)
	try(t, w.URL, "--phases", "examples,coverage", "--header", "Authorization: Bearer "+w.Token, "--exclude-operation-id", "revoke-token")
}

// The same with a real registry, on whose socket everybody may do everything.
func TestRegistryKeepsToTheDescription(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, err := child.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	r, err := child.Start(child.Config{Program: program, Data: data, Args: []string{"--ephemeral", "--http", "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}()
	url := relay(t, filepath.Join(data, "admin.sock"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/registry", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
	answer.Body.Close()
	try(t, url, "--phases", "fuzzing", "--max-examples", "5", "--exclude-checks", "ignored_auth")
}

// relay returns where a socket is found over TCP.
func relay(t *testing.T, socket string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var relaying sync.WaitGroup
	relaying.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := new(net.Dialer).DialContext(context.Background(), "unix", socket)
			if err != nil {
				from.Close()
				continue
			}
			relaying.Go(func() { pour(to, from) })
			relaying.Go(func() { pour(from, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		relaying.Wait()
	})
	return "http://" + l.Addr().String()
}

func pour(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}
