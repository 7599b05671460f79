//go:build linux

// Package postgrestest runs real PostgreSQL servers for tests, each with data of its own:
// they can be stopped, killed, paused, started again, copied to a standby, and given a
// disk that fills up.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options are what may be chosen about a server. The zero value will do.
type Options struct {
	// Durable lets commits wait for the disk, which tests that crash no machine need not.
	Durable bool
	// Disk is where the data are; in a temporary directory if it is empty.
	Disk string
	// LogDisk is where the write-ahead log is; with the data if it is empty.
	LogDisk string
	// Settings are lines of postgresql.conf, as in "fsync=off".
	Settings []string
}

// Server is one PostgreSQL server, on an address of its own that it keeps.
type Server struct {
	Port int

	dir      string // with the data and what it says of itself
	settings []string
	fixed    bool // it has been told where it is
	process  *exec.Cmd
	exited   chan struct{}  // closed when process has ended
	watcher  *exec.Cmd      // ends the server if this process dies
	leash    io.WriteCloser // what the watcher holds on to
}

const patience = 2 * time.Minute

// Start runs a new server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := newServer(t, o)
	arguments := []string{"-D", s.data(), "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8", "-N", "--wal-segsize=1"}
	if o.LogDisk != "" {
		arguments = append(arguments, "-X", filepath.Join(o.LogDisk, "wal"))
	}
	s.run(t, "initdb", arguments...)
	s.Start(t)
	return s
}

// Standby runs a copy of s that follows it, until the test ends.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby := newServer(t, Options{})
	standby.run(t, "pg_basebackup", "-D", standby.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port),
		"-U", "postgres", "-R", "-c", "fast", "-N")
	standby.Start(t)
	return standby
}

// Promote makes a primary of a standby.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.run(t, "pg_ctl", "promote", "-D", s.data(), "-w")
}

func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{dir: Folder(t, o.Disk)}
	s.settings = []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=",
		"shared_buffers=16MB", "max_connections=60", "min_wal_size=2MB", "max_wal_size=16MB",
	}
	if !o.Durable {
		s.settings = append(s.settings, "fsync=off")
	}
	s.settings = append(s.settings, o.Settings...)
	t.Cleanup(func() { s.Kill(t) })
	return s
}

// Folder makes a directory for what a server's user may read and write, in place, or
// among the temporary ones if that is empty. It is gone after the test.
func Folder(t testing.TB, place string) string {
	t.Helper()
	dir, err := os.MkdirTemp(place, "xlreg-postgres-") //nolint:usetesting // that user could not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	Give(t, dir)
	return dir
}

// Give makes a file or directory the property of the user whom the servers run as.
func Give(t testing.TB, path string) {
	t.Helper()
	who, err := owner()
	if err == nil && who != nil {
		err = os.Chown(path, int(who.Uid), int(who.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// owner is the user whom servers run as: not root, since PostgreSQL refuses to. It is
// nil if that is who we are.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// URL names the server and a schema in it, as its superuser.
func (s *Server) URL(schema string) string { return URL(schema, s) }

// URL names several servers.
func URL(schema string, servers ...*Server) string {
	hosts := make([]string, len(servers))
	for i, s := range servers {
		hosts[i] = "127.0.0.1:" + strconv.Itoa(s.Port)
	}
	return "postgres://postgres@" + strings.Join(hosts, ",") + "/postgres?schema=" + schema
}

// Connect returns a connection to the server, past all that is tested. The test closes
// it.
func (s *Server) Connect(t testing.TB) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Exec runs statements, each by itself.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn := s.Connect(t)
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Ask returns the one value that a query gives, as text.
func (s *Server) Ask(t testing.TB, query string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn := s.Connect(t)
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, query).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		t.Fatalf("%s: not one row", query)
	}
	return string(results[0].Rows[0][0])
}

func (s *Server) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.Port))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// run runs one of PostgreSQL's programs to its end.
func (s *Server) run(t testing.TB, program string, arguments ...string) {
	t.Helper()
	cmd, err := s.command(program, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func (s *Server) command(program string, arguments ...string) (*exec.Cmd, error) {
	path, err := find(program)
	if err != nil {
		return nil, err
	}
	who, err := owner()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), path, arguments...) //nolint:gosec // programs of PostgreSQL's, on behalf of tests
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd, nil
}

// find returns where a program of PostgreSQL's is: Debian has those of servers in a
// folder for each version.
func find(program string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return exec.LookPath(program)
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return found[len(found)-1], nil
}

func version(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

var errExited = errors.New("the server has ended")

// Hosts sets who is let in, and how: the lines of pg_hba.conf.
func (s *Server) Hosts(t testing.TB, lines ...string) {
	t.Helper()
	path := filepath.Join(s.data(), "pg_hba.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
	s.Start(t)
}
