package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
)

// ready returns the check that tells whether a member is ready; nil if there is none.
func (r *clusterRun) ready(m *runMember, check *runplan.Ready) (*run.Ready, error) {
	if check == nil {
		return nil, nil //nolint:nilnil // there is none, and nothing is wrong
	}
	addr, text, err := check.Where(m.data)
	if err != nil {
		return nil, err
	}
	_, shown, err := check.Where(withoutSecret(m.data))
	if err != nil {
		return nil, err
	}
	ready := new(run.Ready)
	switch check.Kind {
	case recipe.ReadyTCP:
		ready.What, ready.Check = "tcp "+string(addr), run.CheckTCP(string(addr))
	case recipe.ReadyHTTP, recipe.ReadyHTTPS:
		where := fmt.Sprintf("%s://%s", check.Kind, addr)
		ready.What = where + shown
		ready.Check, err = checkHTTP(where+text, m.data)
	default:
		ready.What = check.Name(shown)
		ready.Check = func(ctx context.Context) error { return r.checkByCommand(ctx, m, text) }
	}
	ready.Timeout = r.o.plan.ReadyTimeout
	return ready, err
}

// withoutSecret returns d as it may be shown: what a template makes of the secret is for the
// program, and not for errors and logs.
func withoutSecret(d *launch.Data) *launch.Data {
	shown := *d
	secret, err := d.Secret()
	if err != nil {
		return d // there is nothing to hide
	}
	shown.SetSecret(strings.Repeat("*", len(secret))) // as long, for templates that take a part of it
	return &shown
}

// checkByCommand runs a check. Of one that fails, what it has said last is a part of the
// error.
func (r *clusterRun) checkByCommand(ctx context.Context, m *runMember, text string) error {
	said := newTail()
	err := r.command(ctx, m.data.Self.Name+" ready", text, m, run.Program{Stdout: said, Stderr: said})
	if lines := said.last(1); err != nil && len(lines) > 0 {
		return fmt.Errorf("%w: %s", checkFailed(err), lines[0])
	}
	return checkFailed(err)
}

// checkFailed leaves the check's name out of an error that has the member's.
func checkFailed(err error) error {
	var exit *run.ExitError
	if errors.As(err, &exit) && exit.Err == nil && exit.Signal == 0 {
		return fmt.Errorf("exit status %d", exit.Code)
	}
	return err
}

// clientTLS returns how d's member talks to members over TLS.
func clientTLS(d *launch.Data) (*tls.Config, error) {
	files, err := d.TLS()
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	peers, err := os.ReadFile(files.Peers)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(peers)
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
