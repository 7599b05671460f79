//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/keys"
)

// reloaded is a registry that is told to read its configuration anew.
type reloaded struct {
	*child.Registry
	t    *testing.T
	log  lines
	cred string
	conf string
}

// lines is a writer that hands on what is written.
type lines chan string

func (l lines) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }

// logged is what these tests look for in a line of the log.
type logged struct {
	Msg     string   `json:"msg"`
	Level   string   `json:"level"`
	Changed []string `json:"changed"`
	Flags   []string `json:"flags"`
	Err     string   `json:"err"`
	What    string   `json:"what"`
}

func startReloaded(t *testing.T, conf string, env []string, args ...string) *reloaded {
	t.Helper()
	program, err := exec.LookPath("xlreg")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &reloaded{t: t, log: make(lines, 1000), conf: filepath.Join(dir, "xlreg.conf"), cred: filepath.Join(dir, "data", "regCred.dat")}
	r.write(conf)
	r.Registry, err = child.Start(child.Config{
		Program: program, Data: filepath.Join(dir, "data"), Env: env, Log: r.log,
		Args: append([]string{"--ephemeral", "--config", r.conf}, args...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *reloaded) write(conf string) {
	r.t.Helper()
	if err := os.WriteFile(r.conf, []byte(conf), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload writes the configuration, if there is one to write, sends SIGHUP, and returns what
// the log says of it.
func (r *reloaded) reload(conf string) (said []logged) {
	r.t.Helper()
	if conf != "" {
		r.write(conf)
	}
	if err := syscall.Kill(r.PID(), syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	for {
		var l logged
		line := <-r.log
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			r.t.Fatalf("%q: %v", line, err)
		}
		if strings.HasPrefix(l.Msg, "SIGHUP: ") {
			said = append(said, l)
		}
		if l.Msg == "SIGHUP: read anew" { // the last
			return said
		}
	}
}

// wantChanged holds what the log says against the changes, and the flags that need a
// restart.
func wantChanged(t *testing.T, said []logged, changed, restart []string) {
	t.Helper()
	last := said[len(said)-1]
	if !slices.Equal(last.Changed, changed) {
		t.Errorf("changed %q, want %q", last.Changed, changed)
	}
	var waiting []string
	for _, l := range said {
		waiting = append(waiting, l.Flags...)
	}
	if !slices.Equal(waiting, restart) {
		t.Errorf("%q need a restart, want %q", waiting, restart)
	}
}

// xlreg runs a command at the registry, and returns what it says if it fails.
func (r *reloaded) xlreg(args ...string) string {
	r.t.Helper()
	var out, errs bytes.Buffer
	if execute(r.t.Context(), append([]string{"xlreg", "--registry", r.cred}, args...), nil, &out, &errs) == exitDone {
		return ""
	}
	return errs.String()
}

// member makes a node, and returns its directory and the fingerprint of its key.
func member(t *testing.T, name string) (dir, sum string) {
	t.Helper()
	set, err := keys.Generate(keys.P256, 256)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), name)
	node, err := identity.Init(dir, identity.Options{Name: "n", Keys: set})
	if err == nil {
		err = node.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if sum, err = keys.Fingerprint(set.SigKey); err != nil {
		t.Fatal(err)
	}
	return dir, sum
}

// Limits change while the registry runs; what the command line says does not; and what
// systemd has put into the environment from the very file does.
func TestReloadLimits(t *testing.T) {
	t.Parallel()
	r := startReloaded(t, "XLREG_MAX_CLUSTERS=1\n", []string{"XLREG_MAX_CLUSTERS=1", "XLREG_MAX_DATA_MIB=100"}, "--max-nodes", "100")
	dir, _ := member(t, "a")
	create := func(name string) string { return r.xlreg("create", name, "--size", "2", "--node", dir) }
	if err := create("one"); err != "" {
		t.Fatal(err)
	}
	if err := create("two"); !strings.Contains(err, "full") {
		t.Errorf("over the limit: %q", err)
	}
	wantChanged(t, r.reload(""), []string{}, nil)
	said := r.reload("XLREG_MAX_CLUSTERS=2\nXLREG_MAX_NODES=1\nXLREG_MAX_DATA_MIB=1\nXLREG_IDLE_TIMEOUT=1m\nXLREG_MAX_WAIT=1m\nXLREG_ID_BITS=160\n")
	wantChanged(t, said, []string{"idle-timeout=1m0s", "max-clusters=2"}, []string{"id-bits", "max-wait"})
	if err := create("two"); err != "" {
		t.Error(err)
	}
	if err := create("three"); !strings.Contains(err, "full") {
		t.Errorf("over the new limit: %q", err)
	}
	// What is not said any more is as if it had never been said.
	wantChanged(t, r.reload("# nothing\n"), []string{"idle-timeout=2m0s", "max-clusters=1000000"}, nil)
	if err := create("three"); err != "" {
		t.Error(err)
	}
}

// With a damaged file everything stays as it was, and the log says where the damage is.
func TestReloadDamage(t *testing.T) {
	t.Parallel()
	r := startReloaded(t, "XLREG_MAX_CLUSTERS=1\n", nil)
	for conf, want := range map[string]string{
		"XLREG_MAX_CLUSTERS=2\nnonsense\n":           "line 2: want NAME=VALUE",
		"XLREG_MAX_CLUSTERS=2\nXLREG_MAX_NODE=1\n":   "line 2: XLREG_MAX_NODE: there is no such variable (did you mean XLREG_MAX_NODES?)",
		"XLREG_MAX_CLUSTERS=2\nXLREG_MAX_NODES=many": "line 2: XLREG_MAX_NODES: \"many\": want a whole number",
		"XLREG_MAX_CLUSTERS=2\nXLREG_MAX_NODES=0":    "--max-nodes 0: want more than 0",
		"XLREG_MAX_CLUSTERS=2\nXLREG_LOG_LEVEL=loud": "--log-level \"loud\"",
		"XLREG_MAX_CLUSTERS=2\nXLREG_LISTEN=":        "",
	} {
		said := r.reload(conf)
		if want == "" { // an empty value is as good as none
			wantChanged(t, said, []string{"max-clusters=2"}, nil)
			r.reload("XLREG_MAX_CLUSTERS=1\n")
			continue
		}
		wantChanged(t, said, []string{}, nil)
		if len(said) != 2 || said[0].Level != "ERROR" || !strings.Contains(said[0].Err, want) {
			t.Errorf("%q: %+v, want %s", conf, said, want)
		}
	}
	if err := os.Remove(r.conf); err != nil {
		t.Fatal(err)
	}
	if said := r.reload(""); len(said) != 2 || said[0].Level != "ERROR" {
		t.Errorf("without the file: %+v", said)
	}
}

// Who may register is a list that can be changed; a damaged one changes nothing.
func TestReloadAdmitted(t *testing.T) {
	t.Parallel()
	a, sumA := member(t, "a")
	b, sumB := member(t, "b")
	list := filepath.Join(t.TempDir(), "admitted")
	write := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# those of the lab\n" + sumA + " a\n")
	r := startReloaded(t, "XLREG_ADMIT_FILE="+list+"\n", nil)
	cluster := 0
	may := func(dir string) bool {
		cluster++
		err := r.xlreg("create", "c"+string(rune('a'+cluster)), "--size", "2", "--node", dir)
		if err != "" && !strings.Contains(err, "not admitted") {
			t.Error(err)
		}
		return err == ""
	}
	steps := []struct {
		list, conf string
		changed    []string
		damage     string
		a, b       bool
	}{
		{list: "", changed: []string{}, a: true},
		{list: sumA + "\nSHA256:short\n" + sumB, changed: []string{}, damage: "line 2: ", a: true},
		{list: sumA + "\nsomebody\n", changed: []string{}, damage: "line 2: want a fingerprint", a: true},
		{list: sumB + "\n\n" + sumB, changed: []string{"1 keys are admitted"}, b: true},
		{conf: "XLREG_LOG_LEVEL=debug", changed: []string{"log-level=debug", "all keys are admitted"}, a: true, b: true},
	}
	for i, s := range steps {
		if s.list != "" {
			write(s.list)
		}
		said := r.reload(s.conf)
		wantChanged(t, said, s.changed, nil)
		if s.damage != "" && (said[0].What != "admitted keys" || !strings.Contains(said[0].Err, s.damage)) {
			t.Errorf("step %d: %+v, want %s", i, said, s.damage)
		}
		if gotA, gotB := may(a), may(b); gotA != s.a || gotB != s.b {
			t.Errorf("step %d: a may %v, want %v; b may %v, want %v", i, gotA, s.a, gotB, s.b)
		}
	}
}

// Without a file there is nothing that could change flags, and it is said.
func TestReloadWithoutConfig(t *testing.T) {
	t.Parallel()
	r := startReloaded(t, "", nil, "--config=")
	if said := r.reload(""); len(said) != 2 || !strings.Contains(said[0].Msg, "--config names no file") {
		t.Errorf("%+v", said)
	}
}

func TestServeRefusesConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := func(name, text string) []string { return []string{"--config", write(name, text)} }
	admit := func(text string) []string { return []string{"--admit-file", write("admit", text)} }
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":        {[]string{"--config", filepath.Join(dir, "missing")}, "--config: "},
		"directory":      {[]string{"--config", dir}, "want a file of at most"},
		"unknown":        {conf("conf1", "A=b\nXLREG_MAXNODES=1"), "line 2: XLREG_MAXNODES: there is no such variable (did you mean XLREG_MAX_NODES?)"},
		"not a number":   {conf("conf2", "XLREG_MAX_NODES=x"), `line 1: XLREG_MAX_NODES: "x": want a whole number`},
		"no list":        {[]string{"--admit-file", filepath.Join(dir, "missing")}, "--admit-file: "},
		"list with junk": {admit("# a\n\nssh-rsa nonsense\n"), "admit: line 3: "},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := execute(t.Context(), append([]string{"xlreg", "serve", "--dev"}, c.args...), nil, &out, &errs)
			if code == exitDone || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit code %d: %s", code, errs.String())
			}
		})
	}
}
