package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/xlregtest"
)

// patience bounds each program, which takes a second or two.
const patience = 2 * time.Minute

// language is a client's command line: create, join and get with the same flags,
// output and exit codes.
type language struct {
	name    string
	command []string
	greeter []string // a program that joins and greets; none for Go, whose tests do it themselves
}

var goProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "xlreg-interop-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "xlreg")
	out, err := exec.Command("go", "build", "-o", path, "github.com/xlattice/xlreg/cmd/xlreg").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := goProgram(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// languages returns all three clients.
func languages(t *testing.T) []language {
	t.Helper()
	program, err := goProgram()
	if err != nil {
		t.Fatal(err)
	}
	python := need(t, "../python/.venv/bin/python")
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		t.Fatalf("%v: run make setup", err)
	}
	lib := "-I" + need(t, "../ruby/lib")
	return []language{
		{name: "go", command: []string{program}},
		{"python", []string{python, "-m", "xlreg"}, []string{python, need(t, "../python/examples/greet.py")}},
		{"ruby", []string{ruby, lib, need(t, "../ruby/exe/xlreg-rb")}, []string{ruby, lib, need(t, "../ruby/examples/greet.rb")}},
	}
}

func need(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(abs); err != nil {
		t.Fatalf("%v: run make setup", err)
	}
	return abs
}

// nodeDirs makes node directories, which all languages can use. Their keys are good for all
// generations of the protocol.
func nodeDirs(t *testing.T, names ...string) []string {
	t.Helper()
	dirs := make([]string, len(names))
	for i, name := range names {
		dirs[i] = filepath.Join(t.TempDir(), name)
		node, err := identity.Init(dirs[i], identity.Options{Name: xlreg.Name(name), Keys: xlregtest.Node(t, xlreg.Name(name), xlregtest.WithProtocols(xlreg.Protocol19)).Keys()})
		if err != nil {
			t.Fatal(err)
		}
		if err := node.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

// roster is what join and get print.
type roster struct {
	Cluster struct {
		ID            string
		Name          string
		Size          int
		EndpointCount int
		Attrs         uint64
	}
	State struct {
		Sum string // empty over a classic carrier
	}
	Members []struct {
		Index     int
		ID        string
		Name      string
		Endpoints []string
		CommsKey  string
		SigKey    string
		Attrs     uint64
	}
}

// run runs one command and returns what it printed.
func run(ctx context.Context, command []string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], args...)...)
	cmd.Env = append(os.Environ(), "XLREG_ALLOW_UNVERIFIED=true") // members of all generations meet
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(command[0]), strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

func runRoster(ctx context.Context, command []string, args ...string) (*roster, error) {
	out, err := run(ctx, command, append(args, "-o", "json")...)
	if err != nil {
		return nil, err
	}
	r := new(roster)
	if err := json.Unmarshal(out, r); err != nil {
		return nil, fmt.Errorf("%s: %w in %s", args[0], err, out)
	}
	return r, nil
}

var protocols = []string{"2.0", "1.9", "1.8"}

// TestMatrix lets each language create a cluster in each generation, for members
// of all three languages in generations of their own, and readers likewise, so
// that in the end each has done each in each.
func TestMatrix(t *testing.T) {
	all, cred := languages(t), xlregtest.Start(t).CredFile(t)
	for c := range all {
		for p := range protocols {
			t.Run(all[c].name+"-"+protocols[p], func(t *testing.T) { matrixCell(t, all, cred, c, p) })
		}
	}
}

func matrixCell(t *testing.T, all []language, cred string, creator, p int) {
	ctx := t.Context()
	name := fmt.Sprintf("%s%d", all[creator].name, p)
	dirs := nodeDirs(t, "admin", "m0", "m1", "m2", "reader")
	generation := func(shift int) []string {
		return []string{"--registry", cred, "--protocol", protocols[(p+shift)%3]}
	}
	_, err := run(ctx, all[creator].command, append(generation(0), "create", name, "--size", fmt.Sprint(len(all)), "--node", dirs[0])...)
	if err != nil {
		t.Fatal(err)
	}
	rosters := make([]*roster, len(all))
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for m := range all {
		wg.Go(func() {
			args := append(generation(m), "join", name, "--node", dirs[1+m],
				"--endpoint", fmt.Sprintf("127.0.0.1:%d", 4000+m), "--wait", "60s")
			rosters[m], errs[m] = runRoster(ctx, all[m].command, args...)
		})
	}
	wg.Wait()
	for m := range all {
		if errs[m] != nil {
			t.Fatal(errs[m])
		}
		same(t, all[m].name, rosters[m], rosters[0])
	}
	for r := range all {
		read, err := runRoster(ctx, all[r].command, append(generation(r+1), "get", name, "--node", dirs[4])...)
		if err != nil {
			t.Fatal(err)
		}
		same(t, all[r].name+" reading", read, rosters[0])
	}
}

func same(t *testing.T, who string, got, want *roster) {
	t.Helper()
	a, errA := json.Marshal(got.Members)
	b, errB := json.Marshal(want.Members)
	if errA != nil || errB != nil || !bytes.Equal(a, b) || got.Cluster != want.Cluster || len(got.Members) != got.Cluster.Size {
		t.Errorf("%s knows %s, another %s", who, a, b)
	}
}
