package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/original"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"xlreg": main})
}

// tests are those of this package, and a look for goroutines that they left behind.
type tests struct{ *testing.M }

// Run implements testscript.TestingM.
func (t tests) Run() int {
	code := t.M.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs the program as its users do. The scripts know these commands
// beside those of testscript:
//
//   - key N DIR puts the test key N into DIR, as both keys of a node that is to be
//     made there: making new ones takes long
//   - node N DIR makes a node in DIR that has the test key N and the folder's name
//   - original registry|node|member N DIR makes what an original program left in DIR,
//     which is its name too, with the test key N as both keys
//   - original 1.8|1.9 N FILE starts a fake of an original registry with the test key N as
//     both keys, and writes its credentials
//   - start NAME PROGRAM ARG… starts a registry in the background and waits until
//     it is open; $NAME_at, $NAME_id, $NAME_sig and $NAME_cred say where and who
//   - finish [-KILL] NAME ends it: with SIGTERM, and then it has to exit with 0, or
//     with SIGKILL. NAME.out and NAME.log are what it wrote
//   - fails CODE PROGRAM ARG… runs a program that has to end with that exit code
//     and one line on standard error, besides lines about a wait and warnings
//   - joined N CLUSTER waits until a cluster has N members
//   - like FILE PATTERN holds JSON against JSON whose strings are patterns
//   - let NAME PATTERN gives $NAME what the pattern's group finds in the last output
//   - hangup NAME sends it SIGHUP
//   - older FILE makes a registry's data file one of the form before this one
//   - lose FILE ROOT removes a record from a registry's data file, one whose key begins so
//   - newer FILE makes a registry's data file one that a later program wrote
//   - damage FILE makes a file's content worthless
func TestScripts(t *testing.T) { testscript.Run(t, scripts("testdata", makeKeys(t, 6))) }

// scripts is how the scripts in dir are run, with the directory of test keys.
func scripts(dir, keys string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("KEYS", keys)
			env.Setenv("TERM", "xterm")
			// With the race detector each program would sleep a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=10")
			env.Values[running{}] = make(map[string]*background)
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != "root" {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"key":      cmdKey,
			"node":     cmdNode,
			"original": cmdOriginal,
			"start":    cmdStart,
			"finish":   cmdFinish,
			"fails":    cmdFails,
			"joined":   cmdJoined,
			"like":     cmdLike,
			"let":      cmdLet,
			"newer":    cmdNewer,
			"damage":   cmdDamage,
			"hangup":   cmdHangup,
			"older":    cmdOlder,
			"lose":     cmdLose,
		},
	}
}

// makeKeys makes n key files, 0.pem and on, and returns their directory.
func makeKeys(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var group errgroup.Group
	for i := range n {
		group.Go(func() error {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				return err
			}
			private, err := keys.NewPrivate(key)
			if err != nil {
				return err
			}
			data, err := keys.EncodePrivate(private)
			if err != nil {
				return err
			}
			pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
			name := filepath.Join(dir, strconv.Itoa(i))
			return errors.Join(os.WriteFile(name+".pem", data, 0o600), os.WriteFile(name+".pkcs1", pkcs1, 0o600))
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// want checks how a command is called.
func want(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func cmdKey(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "key N DIR")
	key, dir := ts.ReadFile(filepath.Join(ts.Getenv("KEYS"), args[0]+".pem")), ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o700))
	for _, name := range []string{"comms.pem", "sig.pem"} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(key), 0o600))
	}
}

func cmdNode(ts *testscript.TestScript, neg bool, args []string) {
	cmdKey(ts, neg, args)
	dir := ts.MkAbs(args[1])
	node, err := identity.Init(dir, identity.Options{Name: xlreg.Name(filepath.Base(dir))})
	ts.Check(err)
	ts.Check(node.Close())
}

func cmdOriginal(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "original registry|node|member|1.8|1.9 N DIR|FILE")
	block, _ := pem.Decode([]byte(ts.ReadFile(filepath.Join(ts.Getenv("KEYS"), args[1]+".pkcs1"))))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	ts.Check(err)
	if generation, ok := map[string]original.Generation{"1.8": original.V18, "1.9": original.V19}[args[0]]; ok {
		server, err := original.Start(original.Options{Generation: generation, Comms: key, Sig: key})
		ts.Check(err)
		ts.Defer(func() { ts.Check(server.Close()) })
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), server.RegCred(), 0o600))
		return
	}
	id := bytes.Repeat([]byte{0x9a}, xlreg.ShortIDLen)
	c := original.Config{Name: args[2], ID: id, Comms: key, Sig: key, Endpoints: []string{"127.0.0.1:5001", "127.0.0.1:5002"}}
	file, text := "reg.config", c.Registry()
	switch args[0] {
	case "node":
		id[len(id)-1]++
		file, text = "node.config", c.Node()
	case "member":
		file, text = "cluster.member.config", c.Member("web", id)
	}
	dir := filepath.Join(ts.MkAbs(args[2]), ".xlattice")
	ts.Check(os.MkdirAll(dir, 0o740))
	ts.Check(os.WriteFile(filepath.Join(dir, file), []byte(text), 0o400))
}

func cmdDamage(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "damage FILE")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("damaged\n", 1000)), 0o600))
}

func cmdLet(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "let NAME PATTERN")
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("the last output has no %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func cmdNewer(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "newer FILE")
	setSchema(ts, args[0], 99)
}

func cmdOlder(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "older FILE")
	setSchema(ts, args[0], 1)
}

func cmdLose(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "lose FILE ROOT")
	st, err := bolt.Open(ts.MkAbs(args[0]), bolt.Options{MustExist: true})
	ts.Check(err)
	ts.Check(st.Update(context.Background(), func(w store.Writer) error {
		for item, err := range w.Scan(args[1]) {
			return errors.Join(err, w.Delete(item.Key))
		}
		return fmt.Errorf("no record begins with %s", args[1])
	}))
	ts.Check(st.Close())
}

// changeFile changes a registry's data file, which is made if it is not there.
func changeFile(ts *testscript.TestScript, file string, f func(store.Writer) error) {
	st, err := bolt.Open(ts.MkAbs(file), bolt.Options{})
	ts.Check(err)
	ts.Check(st.Update(context.Background(), f))
	ts.Check(st.Close())
}

func setSchema(ts *testscript.TestScript, file string, version byte) {
	db, err := bbolt.Open(ts.MkAbs(file), 0o600, nil)
	ts.Check(err)
	ts.Check(db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte{version})
	}))
	ts.Check(db.Close())
}

// besidesWaiting returns what a program wrote, less the lines that it may write before it
// fails.
func besidesWaiting(text string) string {
	return regexp.MustCompile(`(?m)^xlreg: (waiting for|trying again|warning:).*\n`).ReplaceAllString(text, "")
}

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "fails CODE PROGRAM ARG…")
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		ts.Fatalf("got %v, want exit code %s", err, args[0])
	}
	if got := strconv.Itoa(exit.ExitCode()); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
	text := besidesWaiting(ts.ReadFile("stderr"))
	if !strings.HasPrefix(text, "xlreg: ") || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("standard error is not one line of xlreg: %q", text)
	}
}

func cmdJoined(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "joined N CLUSTER")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ref, err := parseRef(args[1])
	ts.Check(err)
	where := ts.Getenv("XLREG_REGISTRY")
	if !strings.HasPrefix(where, "xlreg://") {
		where = ts.MkAbs(where)
	}
	target, err := regcred.Load(where)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, target, client.Options{})
	ts.Check(err)
	defer c.Close()
	_, err = c.Wait(ctx, ref, n)
	ts.Check(err)
}
