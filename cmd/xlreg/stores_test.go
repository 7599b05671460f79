//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/stores"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
	"github.com/xlattice/xlreg/regcred"
)

// TestStoreScripts runs the program on stores that servers share, each script on an etcd
// and on a PostgreSQL. The scripts know these beside the commands of the others:
//
//   - $STORE and $OTHER are URLs of stores that are empty; $AT is the address of both
//   - database stop|start ends the database, or starts it again; only in the folder outage
//   - healthy NAME CODE waits until the health address of a registry answers with that code
//   - unfinished FILE WORK makes something seem to have been begun with a data file
//   - announce FILE makes a server seem to be there, in a data file
func TestStoreScripts(t *testing.T) {
	keys := makeKeys(t, 6)
	shared := map[string]database{"etcd": newEtcd(t), "postgres": newPostgres(t)}
	for name, db := range shared {
		t.Run(name, func(t *testing.T) { testscript.Run(t, storeScripts("testdata/stores", keys, db)) })
	}
}

// TestOutageScripts does things to a database, which therefore is the script's own.
func TestOutageScripts(t *testing.T) {
	keys := makeKeys(t, 6)
	for name, db := range map[string]database{"etcd": newEtcd(t), "postgres": newPostgres(t)} {
		t.Run(name, func(t *testing.T) { testscript.Run(t, storeScripts("testdata/outage", keys, db)) })
	}
}

// TestPostgresScripts does what operators do to a PostgreSQL at $PORT.
func TestPostgresScripts(t *testing.T) {
	db := newPostgres(t)
	p := storeScripts("testdata/postgres", makeKeys(t, 3), db)
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		_, port, err := net.SplitHostPort(db.address)
		env.Setenv("PORT", port)
		return errors.Join(err, setup(env))
	}
	testscript.Run(t, p)
}

// TestUpgradeScripts goes from this release to the next, which is the program $NEXT.
//
//   - schema N waits until the servers write records in version N
//   - let-at NAME ADDR gives $NAME the line that leads to one of the servers alone
func TestUpgradeScripts(t *testing.T) {
	keys := makeKeys(t, 6)
	next := filepath.Join(t.TempDir(), "xlreg-next")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "xlreg_next", "-o", next, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, db := range map[string]database{"etcd": newEtcd(t), "postgres": newPostgres(t)} {
		p := storeScripts("testdata/upgrade", keys, db)
		setup := p.Setup
		p.Setup = func(env *testscript.Env) error {
			env.Setenv("NEXT", next)
			return setup(env)
		}
		p.Cmds["schema"] = cmdSchema
		p.Cmds["let-at"] = cmdLetAt
		p.Cmds["freeport"] = cmdFreePort
		t.Run(name, func(t *testing.T) { testscript.Run(t, p) })
	}
}

func cmdSchema(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "schema N")
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	st, err := stores.Open(ctx, ts.Getenv("STORE"), &stores.Options{Timeout: 10 * time.Second}, slog.New(slog.DiscardHandler))
	ts.Check(err)
	defer st.Close()
	var schema int
	err = st.Watch(ctx, records.Schema, func(store.Change) error {
		err := st.View(ctx, func(tx store.Reader) (err error) {
			schema, err = records.NewReader(tx).Schema()
			return err
		})
		if err == nil && strconv.Itoa(schema) == args[0] {
			return errReached
		}
		return err
	})
	if !errors.Is(err, errReached) {
		ts.Fatalf("the schema is %d: %v", schema, err)
	}
}

func cmdLetAt(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "let-at NAME ADDR")
	cred, err := regcred.Read(ts.MkAbs(ts.Getenv("XLREG_REGISTRY")))
	ts.Check(err)
	cred.Endpoints = []xlreg.Endpoint{xlreg.Endpoint(args[1])}
	target, err := regcred.NewTarget(cred)
	ts.Check(err)
	line, err := target.URL()
	ts.Check(err)
	ts.Setenv(args[0], line)
}

var errReached = errors.New("it is so")

// database is one that tests start and stop.
type database struct {
	url         func(place string) string
	address     string
	stop, start func()
}

func newEtcd(t *testing.T) database {
	t.Helper()
	c := etcdtest.Start(t, etcdtest.Options{})
	return database{c.URL, c.Member(0).Endpoint(), c.Member(0).Stop, func() {
		c.Member(0).Restart()
		c.WaitReady()
	}}
}

func newPostgres(t *testing.T) database {
	t.Helper()
	s := postgrestest.Start(t, postgrestest.Options{})
	return database{s.URL, "127.0.0.1:" + strconv.Itoa(s.Port), func() { s.Stop(t) }, func() { s.Start(t) }}
}

// storeScripts is how scripts in dir are run on a database.
func storeScripts(dir, keys string, db database) testscript.Params {
	p := scripts(dir, keys)
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		place := strings.ReplaceAll(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"), "-", "_")
		env.Setenv("STORE", db.url(place))
		env.Setenv("OTHER", db.url(place+"_2"))
		env.Setenv("AT", db.address)
		return setup(env)
	}
	p.Cmds["database"] = func(ts *testscript.TestScript, neg bool, args []string) {
		want(ts, neg, args, 1, "database stop|start")
		map[string]func(){"stop": db.stop, "start": db.start}[args[0]]()
	}
	p.Cmds["healthy"] = cmdHealthy
	p.Cmds["announce"] = cmdAnnounce
	p.Cmds["unfinished"] = cmdUnfinished
	return p
}

// healthTime bounds the wait for an answer that must come.
const healthTime = time.Minute

func cmdHealthy(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "healthy NAME CODE")
	url := fmt.Sprintf("http://%s/healthz", ts.Getenv(args[0]+"_health"))
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(healthTime)
	for {
		code, err := get(url)
		if strconv.Itoa(code) == args[1] {
			return
		}
		select {
		case <-again.C:
		case <-timeout:
			ts.Fatalf("%s: %d, %v", url, code, err)
		}
	}
}

func get(url string) (int, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func cmdAnnounce(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "announce FILE")
	server := records.Server{ID: "1-a", Name: "host1", Reads: records.NewestVersion}
	key, value, err := server.Record()
	ts.Check(err)
	changeFile(ts, args[0], func(w store.Writer) error { return w.Put(key, value) })
}

func cmdUnfinished(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "unfinished FILE WORK")
	changeFile(ts, args[0], func(w store.Writer) error {
		return records.NewWriter(w).BeginWork(records.Work{Name: args[1], Run: "1"})
	})
}
