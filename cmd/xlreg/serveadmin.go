package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/admin/page"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/keys"
)

// adminFlags are the flags of the admin side.
type adminFlags struct {
	http   string // address; empty: the socket alone
	cert   string
	key    string
	hosts  []string
	admins []string
}

func (f *adminFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.http, "http", "", "`ADDR` of the page and the API for those who run the registry (default none; with --dev on loopback, on a free port)")
	flags.StringVar(&f.cert, "http-cert", "", "`FILE` with the certificate of --http, read again when it changes (default one of the registry's own, unless on loopback)")
	flags.StringVar(&f.key, "http-key", "", "`FILE` with its private key")
	flags.StringSliceVar(&f.hosts, "http-host", nil, "`NAME` by which --http may be asked, beside addresses and localhost, repeatable")
	flags.StringSliceVar(&f.admins, "admin", nil, "`FINGERPRINT` of a key whose client certificate may do everything at --http, repeatable")
}

func (f *adminFlags) check() error {
	if (f.cert == "") != (f.key == "") {
		return errors.New("--http-cert and --http-key are given together")
	}
	for _, name := range f.hosts {
		if name == "" || strings.ContainsAny(name, ":/ ") {
			return fmt.Errorf("--http-host %q: want a name without a port", name)
		}
	}
	for _, text := range f.admins {
		if _, err := keys.ParseFingerprint(text); err != nil {
			return fmt.Errorf("--admin: %w", err)
		}
	}
	return nil
}

// with returns the flags with the default of a registry for trying out, if it is one.
func (f *adminFlags) with(dev bool) adminFlags {
	with := *f
	if dev {
		with.http = "127.0.0.1:0"
	}
	return with
}

// adminSide is what those who run a registry ask.
type adminSide struct {
	server *admin.Server
	socket net.Listener    // in the data directory; nil if there can be none
	port   *admin.Listener // nil: none is wanted
	tokens string          // the file with the first token
}

// openAdmin opens the admin side. Nobody is answered before serve.
func openAdmin(ctx context.Context, cfg *serveConfig, h *host.Host, st store.Store, seen *observer, passed passedSockets) (*adminSide, error) {
	side := &adminSide{tokens: filepath.Join(cfg.data, admin.FirstTokenFile)}
	var cert *admin.Certificate
	var err error
	if side.port, cert, err = listenHTTP(ctx, cfg, passed); err != nil {
		return nil, fmt.Errorf("--http: %w", err)
	}
	if err := side.build(ctx, cfg, steward{h, cert}, st, seen); err != nil {
		side.close()
		return nil, err
	}
	side.socket, err = admin.Listen(filepath.Join(cfg.data, datadir.SocketFile))
	if err != nil {
		cfg.log.Warn("'xlreg admin' and 'xlreg backup' cannot ask this registry, as there is no socket for it", "err", err)
	}
	side.tell(cfg, cert)
	return side, nil
}

// tell says in the log where the port is, and how it is known.
func (a *adminSide) tell(cfg *serveConfig, cert *admin.Certificate) {
	if a.port == nil {
		return
	}
	pin := ""
	if cert != nil {
		pin = cert.Pin()
	}
	cfg.log.Info("admin side is open", "url", a.port.URL(), "pin", pin, "token_file", a.tokens)
}

// build makes the server. Without a TCP port nobody needs a token.
func (a *adminSide) build(ctx context.Context, cfg *serveConfig, registry steward, st store.Store, seen *observer) error {
	tokens, err := admin.OpenTokens(filepath.Join(cfg.data, admin.TokensFile), cfg.log)
	if err == nil && a.port != nil {
		err = tokens.WriteFirst()
	}
	if err != nil && a.port != nil {
		return fmt.Errorf("--http: %w", err)
	}
	if err != nil {
		cfg.log.Warn("the admin tokens cannot be read: there are none until that is mended", "err", err)
	}
	if a.server, err = admin.New(adminConfig(ctx, cfg, registry, st, tokens, seen)); err != nil {
		return err
	}
	return seen.attach(registry, st)
}

// mayStill reports whether a visitor may go on: one without a token always, one with a
// token until it is revoked.
func mayStill(tokens *admin.Tokens, v admin.Visitor) bool {
	if !v.ByToken {
		return true
	}
	return slices.ContainsFunc(tokens.List(), func(t api.Token) bool { return t.Name == v.Name })
}

func adminConfig(ctx context.Context, cfg *serveConfig, registry steward, st store.Store, tokens *admin.Tokens, seen *observer) admin.Config {
	c := admin.Config{
		Logger: cfg.log, Tokens: tokens, Admins: cfg.admin.admins, Hosts: cfg.admin.hosts,
		Steward: registry, Metrics: seen.metrics.Handler(cfg.log), Record: seen.record,
	}
	c.Page = page.New(page.Config{
		Source: registry, Logger: cfg.log, Done: ctx.Done(),
		MayRead:   func(r *http.Request) bool { return mayStill(tokens, admin.VisitorOf(r.Context())) },
		MayChange: func(r *http.Request) bool { return admin.VisitorOf(r.Context()).Changes },
	})
	if disk, ok := st.(*bolt.Store); ok {
		c.Keeper = disk
	}
	return c
}

// listenHTTP opens the TCP port, or takes the one that the service manager has passed.
func listenHTTP(ctx context.Context, cfg *serveConfig, passed passedSockets) (*admin.Listener, *admin.Certificate, error) {
	plain, err := passed.take(socketHTTP, "http", cfg.admin.http)
	if err == nil && plain == nil && cfg.admin.http != "" {
		plain, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.admin.http)
	}
	if err != nil || plain == nil {
		return nil, nil, err
	}
	l, cert, err := secure(cfg, plain)
	if err != nil {
		return nil, nil, errors.Join(err, plain.Close())
	}
	return l, cert, nil
}

// secure gives a port the certificate that was given. Without one there is no TLS on
// loopback, and elsewhere the certificate is the registry's own.
func secure(cfg *serveConfig, plain net.Listener) (l *admin.Listener, cert *admin.Certificate, err error) {
	f := &cfg.admin
	if f.cert != "" {
		if cert, err = admin.LoadCertificate(f.cert, f.key, cfg.log); err != nil {
			return nil, nil, err
		}
	}
	l, err = admin.NewListener(plain, cert)
	if !errors.Is(err, admin.ErrPlain) {
		return l, cert, err
	}
	if cert, err = admin.OwnCertificate(cfg.data, f.hosts, cfg.log); err != nil {
		return nil, nil, err
	}
	l, err = admin.NewListener(plain, cert)
	return l, cert, err
}

// serve answers until ctx ends.
func (a *adminSide) serve(ctx context.Context, group *errgroup.Group) {
	if a.socket != nil {
		group.Go(func() error { return a.server.Serve(ctx, a.socket) })
	}
	if a.port != nil {
		group.Go(func() error { return a.server.Serve(ctx, a.port) })
	}
}

// close closes what has not been served; the rest is closed by then.
func (a *adminSide) close() {
	if a.socket != nil {
		_ = a.socket.Close()
	}
	if a.port != nil {
		_ = a.port.Close()
	}
}

// storeKind returns what the data are kept in, as people are told.
func (cfg *serveConfig) storeKind() string {
	switch scheme, _, _ := strings.Cut(cfg.store, "://"); {
	case cfg.ephemeral:
		return "memory"
	case scheme == "etcd":
		return scheme
	case cfg.store != "":
		return "postgres" // of whose URLs there are two kinds
	}
	return "bolt"
}

// reload reads anew what may be, for the reloader.
func (a *adminSide) reload(context.Context) (changed []string, err error) { return a.server.Reload() }

// printAdmin says where the page is.
func (g *globals) printAdmin(side *adminSide) error {
	if side.port == nil {
		return nil
	}
	_, err := fmt.Fprintf(g.Out, `What goes on there is shown at %s/; the token for changes is in
%s.

`, side.port.URL(), side.tokens)
	return err
}
