//go:build linux

package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/freeport"
	"github.com/xlattice/xlreg/regcred"
)

// servers is how many each registry has here.
const servers = 3

// fleet is one registry of several servers, each a process with a copy of one data
// directory and with a relay of its own to the store.
type fleet struct {
	t       *testing.T
	program string
	dirs    []string
	addrs   []string
	health  []string
	relays  []*relay
	urls    []string // of the store, through the relays
	running []*child.Registry
	cred    string   // file with the credentials that name all servers
	only    []string // files with those that name one
	target  *regcred.Target
}

// storeAt returns the URL of the store by the address of a relay to it.
type storeAt func(addr string) string

// startFleet starts a registry on a store. Server i has a relay to places[i].
func startFleet(t *testing.T, places []string, at storeAt) *fleet {
	t.Helper()
	program, err := goProgram()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, program: program, addrs: freeport.Addresses(t, servers), health: freeport.Addresses(t, servers), running: make([]*child.Registry, servers)}
	first := f.makeKeys()
	for i := range servers {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
			t.Fatal(err)
		}
		private(t, dir)
		f.dirs = append(f.dirs, dir)
		f.relays = append(f.relays, startRelay(t, places[i]))
		f.urls = append(f.urls, at(f.relays[i].addr()))
	}
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() { f.start(i) })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	f.writeCreds()
	return f
}

// makeKeys makes a data directory that no server has been started with on a store.
func (f *fleet) makeKeys() string {
	f.t.Helper()
	dir := filepath.Join(f.t.TempDir(), "data")
	r, err := child.Start(child.Config{Program: f.program, Data: dir, Args: []string{"--ephemeral"}})
	if err == nil {
		err = r.Stop()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return dir
}

// private gives files that were copied the permissions that keys have to have.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// start starts server i, for the first time or again. Other goroutines may start others.
func (f *fleet) start(i int) {
	f.t.Helper()
	args := []string{"--store", f.urls[i], "--public", strings.Join(f.addrs, ","), "--health", f.health[i]}
	r, err := child.Start(child.Config{Program: f.program, Data: f.dirs[i], Listen: f.addrs[i], Args: args})
	if err != nil {
		f.t.Errorf("server %d: %v", i, err)
		return
	}
	f.running[i] = r
	f.t.Cleanup(func() {
		f.signal(r, syscall.SIGCONT)
		if err := r.Kill(); err != nil {
			f.t.Error(err)
		}
		if f.t.Failed() {
			f.t.Logf("server %d:\n%s", i, r.LogTail())
		}
	})
}

// kill ends server i as a crash does.
func (f *fleet) kill(i int) {
	f.t.Helper()
	if err := f.running[i].Kill(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) signal(r *child.Registry, s syscall.Signal) { _ = syscall.Kill(r.PID(), s) } // it may have ended

func (f *fleet) writeCreds() {
	f.t.Helper()
	cred := *f.running[0].Cred()
	dir := f.t.TempDir()
	write := func(name string, ends ...string) string {
		cred.Endpoints = nil
		for _, end := range ends {
			cred.Endpoints = append(cred.Endpoints, xlreg.Endpoint(end))
		}
		path := filepath.Join(dir, name)
		if err := regcred.Write(path, &cred); err != nil {
			f.t.Fatal(err)
		}
		return path
	}
	for i, addr := range f.addrs {
		f.only = append(f.only, write(fmt.Sprintf("only%d.dat", i), addr))
	}
	f.cred = write("regCred.dat", f.addrs...)
	var err error
	if f.target, err = regcred.Load(f.cred); err != nil {
		f.t.Fatal(err)
	}
	for i, r := range f.running {
		if got := r.Cred(); got.ID != cred.ID || !slices.Equal(got.Endpoints, cred.Endpoints) {
			f.t.Errorf("server %d is registry %s at %v, the first is %s at %v", i, got.ID, got.Endpoints, cred.ID, cred.Endpoints)
		}
	}
}

// sessions returns how many connections each server has open. Those that a hung server has
// not accepted count as well.
func (f *fleet) sessions() []int {
	f.t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		f.t.Fatal(err)
	}
	open := make([]int, len(f.addrs))
	for line := range strings.Lines(string(table)) {
		columns := strings.Fields(line)
		if len(columns) < 4 || columns[3] != "01" { // established
			continue
		}
		_, hex, _ := strings.Cut(columns[1], ":")
		port, err := strconv.ParseUint(hex, 16, 16)
		if err != nil {
			continue // the heading
		}
		if i := slices.IndexFunc(f.addrs, func(addr string) bool { return strings.HasSuffix(addr, ":"+strconv.Itoa(int(port))) }); i >= 0 {
			open[i]++
		}
	}
	return open
}

// busiest returns the server with the most connections.
func (f *fleet) busiest() int {
	f.t.Helper()
	open := f.sessions()
	return slices.Index(open, slices.Max(open))
}

// others returns how many connections there are, but for those to one server.
func (f *fleet) others(than int) (n int) {
	f.t.Helper()
	for i, open := range f.sessions() {
		if i != than {
			n += open
		}
	}
	return n
}

// isServing asks server i on its health address.
func (f *fleet) isServing(i int) bool {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.health[i]+"/healthz", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// members returns who is in a cluster, in the order of their seats.
func (f *fleet) members(cluster string) []string {
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, f.target, client.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	roster, err := c.Members(ctx, xlreg.ClusterRef{Name: xlreg.Name(cluster)})
	if err != nil {
		return nil // nobody has made it yet
	}
	var names []string
	for i := range roster.Members {
		names = append(names, string(roster.Members[i].Token.Name))
	}
	return names
}

// full reports whether a cluster has so many members. The members hold their connections
// open: before there are so many of these, nobody is asked.
func (f *fleet) full(cluster string, n int) bool {
	return f.others(-1) >= n && len(f.members(cluster)) == n
}

// soon bounds what takes no more than a few seconds, or half a minute.
const soon = time.Minute

// until looks again and again until ok is true, and returns how long that took.
func until(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > soon {
			t.Fatalf("not within %v: %s", soon, what)
		}
		<-tick.C
	}
	return time.Since(began)
}
