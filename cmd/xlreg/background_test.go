package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// running is the key of the registries that a script has started, by their names.
type running struct{}

// background is a registry that a script has started.
type background struct {
	cmd *exec.Cmd
	out strings.Builder

	open   chan *opened  // closed when the log ends
	done   chan struct{} // closed when the log has been read
	health string        // address; owned by the reader until it is open
	admin  told          // likewise

	log strings.Builder // owned by the reader until done
}

// opened is the line by which a registry says that it is open.
type opened struct {
	Msg       string   `json:"msg"`
	ID        string   `json:"id"`
	Sig       string   `json:"sig"`
	Endpoints []string `json:"endpoints"`
	RegCred   string   `json:"reg_cred"`
}

// told is a line of the log by which a registry says where else it can be asked.
type told struct {
	Msg       string `json:"msg"`
	Listening string `json:"listening"`
	URL       string `json:"url"`
	Pin       string `json:"pin"`
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "start NAME PROGRAM ARG…")
	b := &background{open: make(chan *opened, 1), done: make(chan struct{})}
	b.cmd = exec.Command(args[1], args[2:]...)
	b.cmd.Dir = ts.MkAbs(".")
	b.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TMPDIR="+ts.Getenv("TMPDIR"), "GORACE="+ts.Getenv("GORACE"))
	b.cmd.Stdout = &b.out
	log, err := b.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(b.cmd.Start())
	go b.read(log)
	ts.Defer(func() { _ = b.end(syscall.SIGKILL) })
	at, ok := <-b.open
	if !ok {
		<-b.done
		ts.Fatalf("the registry did not open:\n%s", b.log.String())
	}
	ts.Value(running{}).(map[string]*background)[args[0]] = b
	ts.Setenv(args[0]+"_at", at.Endpoints[0])
	ts.Setenv(args[0]+"_id", at.ID)
	ts.Setenv(args[0]+"_sig", at.Sig)
	ts.Setenv(args[0]+"_cred", at.RegCred)
	ts.Setenv(args[0]+"_health", b.health)
	ts.Setenv(args[0]+"_admin", b.admin.URL)
	ts.Setenv(args[0]+"_pin", b.admin.Pin)
}

// read takes the log as it comes.
func (b *background) read(log io.Reader) {
	defer close(b.done)
	defer close(b.open)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		b.log.WriteString(lines.Text() + "\n")
		var at told
		_ = json.Unmarshal(lines.Bytes(), &at) // lines that are none have no message
		switch at.Msg {
		case "health is told":
			b.health = at.Listening
		case "admin side is open":
			b.admin = at
		}
		open := new(opened)
		if json.Unmarshal(lines.Bytes(), open) == nil && open.Msg == "registry is open" {
			b.open <- open
		}
	}
}

// end may be called again.
func (b *background) end(sig syscall.Signal) error {
	_ = b.cmd.Process.Signal(sig)
	<-b.done
	return b.cmd.Wait()
}

func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "finish [-KILL] NAME")
	sig, name := syscall.SIGTERM, args[0]
	if len(args) == 2 && args[0] == "-KILL" {
		sig, name = syscall.SIGKILL, args[1]
	}
	b := ts.Value(running{}).(map[string]*background)[name]
	if b == nil {
		ts.Fatalf("no registry %s", name)
	}
	err := b.end(sig)
	ts.Check(os.WriteFile(ts.MkAbs(name+".out"), []byte(b.out.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(name+".log"), []byte(b.log.String()), 0o600))
	if sig == syscall.SIGTERM && err != nil {
		ts.Fatalf("the registry ended with %v:\n%s", err, b.log.String())
	}
}

func cmdHangup(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "hangup NAME")
	b := ts.Value(running{}).(map[string]*background)[args[0]]
	if b == nil {
		ts.Fatalf("no registry %s", args[0])
	}
	ts.Check(b.cmd.Process.Signal(syscall.SIGHUP))
}
