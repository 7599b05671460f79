package interop_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

// TestMixedCluster forms one cluster of two members in each language over 2.0 and
// one in each over 1.9 and 1.8. Those of 2.0 then greet each other over mutual TLS,
// in both directions.
func TestMixedCluster(t *testing.T) {
	all, cred := languages(t), xlregtest.Start(t).CredFile(t)
	var greeters, classics []string
	for _, l := range all {
		greeters = append(greeters, l.name+"-a", l.name+"-b")
		classics = append(classics, l.name+"-19", l.name+"-18")
	}
	size := len(greeters) + len(classics)
	dirs := nodeDirs(t, append(slices.Clone(greeters), classics...)...)
	heard := make([]string, len(greeters))
	errs := make([]error, size)
	var wg sync.WaitGroup
	for i := range greeters {
		wg.Go(func() { heard[i], errs[i] = greeter(t.Context(), all[i/2], cred, dirs[i], size) })
	}
	for i := range classics {
		wg.Go(func() {
			args := []string{"--registry", cred, "--protocol", []string{"1.9", "1.8"}[i%2], "join", "mixed", "--create",
				"--size", fmt.Sprint(size), "--node", dirs[len(greeters)+i], "--endpoint", "127.0.0.1:4000", "--wait", "60s"}
			_, errs[len(greeters)+i] = run(t.Context(), all[i/2].command, args...)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, me := range greeters {
		checkGreetings(t, me, heard[i], greeters)
	}
}

func checkGreetings(t *testing.T, me, heard string, greeters []string) {
	t.Helper()
	lines := strings.Fields(strings.ReplaceAll(heard, " ", "="))
	for _, other := range greeters {
		if other == me {
			continue
		}
		if !slices.Contains(lines, "to="+other) || !slices.Contains(lines, "from="+other) {
			t.Errorf("%s and %s have not greeted each other both ways: %q", me, other, lines)
		}
	}
}

// greeter is one member that greets and is greeted, and returns what it heard.
func greeter(ctx context.Context, l language, cred, dir string, size int) (string, error) {
	if l.greeter == nil {
		return goGreeter(ctx, cred, dir, size)
	}
	out, err := run(ctx, l.greeter, cred, dir, "mixed", fmt.Sprint(size))
	return string(out), err
}

func goGreeter(ctx context.Context, cred, dir string, size int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	target, err := regcred.Load(cred)
	if err != nil {
		return "", err
	}
	node, err := identity.Open(dir)
	if err != nil {
		return "", err
	}
	defer node.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	m, err := client.Form(ctx, target, client.FormOptions{
		Options: client.Options{Node: node}, Cluster: xlreg.ClusterRef{Name: "mixed"}, Size: size,
		Listeners: []net.Listener{l}, AllowUnverified: true,
	})
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	return goGreet(ctx, m, l)
}

// goGreet greets all other members that have a certificate, and is greeted by them.
func goGreet(ctx context.Context, m *client.Membership, l net.Listener) (string, error) {
	tl, err := m.Listen(l)
	if err != nil {
		return "", err
	}
	defer tl.Close()
	var from, to []string
	var fromErr error
	var host sync.WaitGroup
	others := len(m.Roster().Members) - len(m.Roster().Unverified()) - 1
	host.Go(func() { from, fromErr = beGreeted(tl, others) })
	for i := range m.Roster().Members {
		other := &m.Roster().Members[i]
		if other.Token.ID == m.Self().Token.ID || !other.Verified {
			continue
		}
		if err := greet(ctx, m, other.Token.Name); err != nil {
			return "", err
		}
		to = append(to, "to "+string(other.Token.Name))
	}
	host.Wait()
	return strings.Join(append(from, to...), "\n"), fromErr
}

func greet(ctx context.Context, m *client.Membership, name xlreg.Name) error {
	conn, err := m.Dial(ctx, name)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	me := m.Self().Token.Name
	if _, err := fmt.Fprintf(conn, "hello from %s\n", me); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || answer != fmt.Sprintf("hello %s\n", me) {
		return fmt.Errorf("%s answers %q: %w", name, answer, err)
	}
	return nil
}

func beGreeted(l net.Listener, times int) (heard []string, err error) {
	for range times {
		nc, err := l.Accept()
		if err != nil {
			return heard, err
		}
		conn := nc.(*client.Conn)
		guest := conn.Member().Token.Name
		_ = conn.SetDeadline(time.Now().Add(patience))
		said, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil && said != fmt.Sprintf("hello from %s\n", guest) {
			err = fmt.Errorf("%s says %q", guest, said)
		}
		if err == nil {
			_, err = fmt.Fprintf(conn, "hello %s\n", guest)
		}
		conn.Close()
		if err != nil {
			return heard, err
		}
		heard = append(heard, "from "+string(guest))
	}
	return heard, nil
}
