package bench_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // what the classic Hello is padded with
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/session"
	"github.com/xlattice/xlreg/store/memory"
	"github.com/xlattice/xlreg/wire"
)

// BenchmarkClassicSessionCPU measures what one classic session, Hello, Member
// and Bye, costs the server, which is a process of its own, and holds it against
// one RSA-2048 decryption in the same process. The goal is 1.25.
func BenchmarkClassicSessionCPU(b *testing.B) {
	for _, p := range []xlreg.Protocol{xlreg.Protocol19, xlreg.Protocol18} {
		b.Run(p.String(), func(b *testing.B) { classicSessions(b, p) })
	}
}

const (
	rounds    = 21  // each one ratio, of which the median counts
	clients   = 16  // at once, so that the server does not pay for falling asleep
	eachRound = 150 // sessions, and decryptions, at least
)

func classicSessions(b *testing.B, p xlreg.Protocol) {
	server := startChild(b)
	node := nodes(b, 1)[0]
	var perSession, perDecryption, ratios []float64
	n := max(eachRound, b.N/rounds)
	for range rounds { // short ones, as the speed of a shared machine drifts
		begun := server.ask(b, "cpu")
		runSessions(b, server, node, p, n)
		between := server.ask(b, "cpu")
		server.ask(b, "decrypt "+strconv.Itoa(n))
		ended := server.ask(b, "cpu")
		perSession = append(perSession, float64(between-begun)/float64(n))
		perDecryption = append(perDecryption, float64(ended-between)/float64(n))
		ratios = append(ratios, float64(between-begun)/float64(ended-between))
	}
	b.ReportMetric(median(perSession)/1e3, "µs-cpu/session")
	b.ReportMetric(median(perDecryption)/1e3, "µs-cpu/decryption")
	b.ReportMetric(median(ratios), "session/decryption")
	b.ReportMetric(0, "ns/op") // is the clients' time as well
}

func runSessions(b *testing.B, server *child, node *identity.Node, p xlreg.Protocol, n int) {
	b.Helper()
	token, _, err := node.Token(p, "", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	cfg := session.ClientConfig{Protocol: p, CommsKey: server.cred.CommsKey}
	var group errgroup.Group
	group.SetLimit(clients)
	for range n {
		group.Go(func() error { return oneSession(b.Context(), server.addr, cfg, token) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func oneSession(ctx context.Context, addr string, cfg session.ClientConfig, token *xlreg.Token) error {
	conn, err := connect(ctx, addr, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, m := range []*wire.Message{wire.NewMember(token), wire.NewBye()} {
		if _, err := ask(ctx, conn, m); err != nil {
			return err
		}
	}
	return nil
}

func connect(ctx context.Context, addr string, cfg session.ClientConfig) (session.Conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return session.Connect(ctx, nc, cfg)
}

// ask makes one request. A reply's Op is its request's and one.
func ask(ctx context.Context, conn session.Conn, m *wire.Message) (*wire.Message, error) {
	if err := conn.Send(ctx, m); err != nil {
		return nil, err
	}
	reply, err := conn.Receive(ctx)
	if err != nil {
		return nil, err
	}
	if reply.Op() != m.Op()+1 {
		return nil, fmt.Errorf("%v in answer to %v: %w", reply.Op(), m.Op(), reply.Err())
	}
	return reply, nil
}

// childEnv makes the test binary the server process.
const childEnv = "XLREG_BENCH_SERVER"

// child is the server process. It answers one line with one number.
type child struct {
	addr string
	cred *regcred.Cred
	in   io.Writer
	out  *bufio.Reader
}

func startChild(b *testing.B) *child {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	path := b.TempDir() + "/regCred.dat"
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	c := &child{in: in, out: bufio.NewReader(out)}
	c.ask(b, "ready")
	if c.cred, err = regcred.Read(path); err != nil {
		b.Fatal(err)
	}
	c.addr = string(c.cred.Endpoints[0])
	return c
}

func (c *child) ask(b *testing.B, question string) int64 {
	b.Helper()
	if _, err := fmt.Fprintln(c.in, question); err != nil {
		b.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// runChild is the main function of the server process. It ends with its input.
func runChild() {
	if err := serveUntilEOF(os.Getenv(childEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveUntilEOF(credPath string) error {
	node, err := identity.NewNode(identity.Options{Name: "bench"})
	if err != nil {
		return err
	}
	st := memory.New()
	h, err := host.Open(host.Config{Node: node, Store: st, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		return err
	}
	if err := h.Cred().Write(credPath); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var served sync.WaitGroup
	served.Go(func() { err = h.Serve(ctx) })
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, answerErr := answer(lines.Text(), node.Keys().Comms)
		if answerErr != nil {
			return answerErr
		}
		fmt.Println(n)
	}
	stop()
	served.Wait()
	return err
}

func answer(line string, key *rsa.PrivateKey) (int64, error) {
	verb, count, _ := strings.Cut(line, " ")
	switch verb {
	case "ready":
		return 0, nil
	case "cpu":
		return cpuTime()
	case "decrypt":
		n, err := strconv.Atoi(count)
		if err != nil {
			return 0, err
		}
		return int64(n), decrypt(key, n)
	default:
		return 0, fmt.Errorf("unknown question %q", line)
	}
}

// cpuTime returns what this process has used, in nanoseconds.
func cpuTime() (int64, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano(), err
}

func decrypt(key *rsa.PrivateKey, n int) error {
	ciphertext, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &key.PublicKey, make([]byte, 44), nil)
	if err != nil {
		return err
	}
	for range n {
		if _, err := rsa.DecryptOAEP(sha1.New(), nil, key, ciphertext, nil); err != nil {
			return err
		}
	}
	return nil
}
