package bench_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/freeport"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// buildProgram returns the path of xlreg, built for the benchmark.
func buildProgram(b *testing.B) string {
	b.Helper()
	return must[string](b)(child.Build(b.Context(), b.TempDir()))
}

// timed returns how long a command takes that has to end well.
func timed(b *testing.B, name string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), name, args...)
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begun)
	if err != nil {
		b.Fatalf("%s: %v\n%s", name, err, out)
	}
	return took
}

// BenchmarkRun64 starts a program that does nothing as 64 members, in pairs with what that
// consists of: to start 64 processes, and to form a cluster of 64 members, which have
// their keys already. The goal for run/parts is 1.5.
func BenchmarkRun64(b *testing.B) {
	program := buildProgram(b)
	registry := nodes(b, 1)[0]
	h := startHost(b, registry)
	target := must[*regcred.Target](b)(regcred.NewTarget(h.Cred()))
	var runs, processes, formations, parts []time.Duration
	for i := range max(rounds, b.N) {
		runs = append(runs, timed(b, program, "run", "-q", "-n", "64", "--", "true"))
		processes = append(processes, startProcesses(b))
		f := bench.Formation{
			Registry: &bench.Registry{Target: target}, Nodes: modernNodes(b, members),
			Protocol: xlreg.Protocol20, Cluster: name("run", i),
		}
		formations = append(formations, must[time.Duration](b)(f.Verify(b.Context())))
		parts = append(parts, processes[i]+formations[i])
	}
	b.ReportMetric(ms(runs), "ms/run")
	b.ReportMetric(ms(processes), "ms/processes")
	b.ReportMetric(ms(formations), "ms/formation")
	b.ReportMetric(bench.Median(bench.Ratios(runs, parts)), "run/parts")
	b.ReportMetric(0, "ns/op") // says nothing here
}

// startProcesses starts as many processes as there are members, and waits for their end.
func startProcesses(b *testing.B) time.Duration {
	b.Helper()
	begun := time.Now()
	var group errgroup.Group
	for range members {
		group.Go(func() error { return exec.CommandContext(b.Context(), "true").Run() })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

// etcdScript writes a key and reads it back, through the member that its environment names.
const etcdScript = "etcdctl put k v >/dev/null && test \"$(etcdctl get --print-value-only k)\" = v"

// BenchmarkRunEtcd starts three members of etcd with mutual TLS, from nothing to a key that
// was read back, in pairs with the same three started by hand, with certificates that are
// ready. The goal for run/by-hand is 1.3.
func BenchmarkRunEtcd(b *testing.B) {
	program := buildProgram(b)
	hand := newEtcdByHand(b)
	var runs, byHand []time.Duration
	read := filepath.Join(b.TempDir(), "read")
	for range max(rounds, b.N) {
		begun := time.Now()
		timed(b, program, "run", "etcd", "-q", "-n", "3", "--then", etcdScript+" && touch "+read)
		info, err := os.Stat(read)
		if err != nil {
			b.Fatal(err)
		}
		runs = append(runs, info.ModTime().Sub(begun)) // without what it takes to end three etcds
		byHand = append(byHand, hand.run(b))
	}
	b.ReportMetric(ms(runs), "ms/run")
	b.ReportMetric(ms(byHand), "ms/by-hand")
	b.ReportMetric(bench.Median(bench.Ratios(runs, byHand)), "run/by-hand")
	b.ReportMetric(0, "ns/op") // says nothing here
}

// etcdByHand has what whoever starts etcd by hand has ready: certificates, and ports.
type etcdByHand struct {
	dir   string
	addrs []string // two of each member
}

func newEtcdByHand(b *testing.B) *etcdByHand {
	b.Helper()
	h := &etcdByHand{dir: b.TempDir(), addrs: freeport.Addresses(b, 6)}
	var peers bytes.Buffer
	for i := range 3 {
		set := must[*keys.Set](b)(keys.Generate(keys.P256, 256))
		token := &xlreg.Token{Name: xlreg.Name(fmt.Sprintf("m%d", i)), SigKey: set.SigKey, Endpoints: []xlreg.Endpoint{"127.0.0.1:1"}}
		token.Certificate = must[[]byte](b)(keys.NewCertificate(set.Sig, token, time.Now(), time.Hour*24))
		cert := must[*x509.Certificate](b)(x509.ParseCertificate(must[[]byte](b)(keys.BuildCertificate(token))))
		h.write(b, h.file(i, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
		h.write(b, h.file(i, "key.pem"), must[[]byte](b)(keys.EncodePrivate(set.Sig)))
		if err := pem.Encode(&peers, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
			b.Fatal(err)
		}
	}
	h.write(b, filepath.Join(h.dir, "peers.pem"), peers.Bytes())
	return h
}

func (h *etcdByHand) file(i int, name string) string {
	return filepath.Join(h.dir, fmt.Sprintf("m%d-%s", i, name))
}

func (h *etcdByHand) write(b *testing.B, path string, data []byte) {
	b.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
}

// run starts the three, asks until one of them answers, and kills them.
func (h *etcdByHand) run(b *testing.B) time.Duration {
	b.Helper()
	data := b.TempDir()
	ctx, cancel := context.WithCancel(b.Context())
	begun := time.Now()
	var all sync.WaitGroup
	for i := range 3 {
		cmd := exec.CommandContext(ctx, "etcd", h.args(i, data)...)
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		all.Go(func() { _ = cmd.Wait() }) // it ends by a signal
	}
	h.awaitPort(ctx) // etcdctl would wait for long where nobody listens yet
	for h.ask(ctx) != nil && ctx.Err() == nil {
	}
	took := time.Since(begun)
	cancel()
	all.Wait()
	return took
}

func (h *etcdByHand) awaitPort(ctx context.Context) {
	var d net.Dialer
	for ctx.Err() == nil {
		if conn, err := d.DialContext(ctx, "tcp", h.addrs[1]); err == nil {
			conn.Close()
			return
		}
		<-time.After(time.Millisecond)
	}
}

func (h *etcdByHand) args(i int, data string) []string {
	var initial []string
	for j := range 3 {
		initial = append(initial, fmt.Sprintf("m%d=https://%s", j, h.addrs[2*j]))
	}
	peer, clients := "https://"+h.addrs[2*i], "https://"+h.addrs[2*i+1]
	args := []string{
		"--name", fmt.Sprintf("m%d", i), "--data-dir", filepath.Join(data, fmt.Sprint(i)), "--initial-cluster", strings.Join(initial, ","),
		"--initial-advertise-peer-urls", peer, "--listen-peer-urls", peer, "--advertise-client-urls", clients, "--listen-client-urls", clients,
	}
	for _, prefix := range []string{"--peer-", "--"} {
		args = append(args, prefix+"cert-file", h.file(i, "cert.pem"), prefix+"key-file", h.file(i, "key.pem"),
			prefix+"trusted-ca-file", filepath.Join(h.dir, "peers.pem"), prefix+"client-cert-auth")
	}
	return args
}

func (h *etcdByHand) ask(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", etcdScript)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS=https://"+h.addrs[1],
		"ETCDCTL_CACERT="+filepath.Join(h.dir, "peers.pem"), "ETCDCTL_CERT="+h.file(0, "cert.pem"), "ETCDCTL_KEY="+h.file(0, "key.pem"))
	return cmd.Run()
}
