package admintest

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/xlattice/xlreg/internal/admin"
)

// Served is a Server that runs: on loopback without TLS, and on a socket.
type Served struct {
	*admin.Server
	URL    string // of the TCP port, without a slash at its end
	Socket string // path
	Token  string // one that may do everything, if the Config had none

	close func() error
}

// Serve runs a Server until Close. A nil Tokens in cfg is a new file with one token.
func Serve(cfg admin.Config) (*Served, error) {
	dir, err := os.MkdirTemp("", "xlreg-admin-")
	if err != nil {
		return nil, err
	}
	s, err := serveIn(dir, cfg)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func serveIn(dir string, cfg admin.Config) (s *Served, err error) {
	s = &Served{Socket: filepath.Join(dir, "admin.sock")}
	if cfg.Tokens == nil {
		cfg.Tokens, err = admin.OpenTokens(filepath.Join(dir, admin.TokensFile), cfg.Logger)
		if err != nil {
			return nil, err
		}
		if s.Token, err = cfg.Tokens.First(); err != nil {
			return nil, err
		}
	}
	if s.Server, err = admin.New(cfg); err != nil {
		return nil, err
	}
	socket, err := admin.Listen(s.Socket)
	if err != nil {
		return nil, err
	}
	port, err := admin.ListenTCP(context.Background(), "127.0.0.1:0", nil)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	s.URL = port.URL()
	s.run(dir, socket, port)
	return s, nil
}

func (s *Served) run(dir string, listeners ...net.Listener) {
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	errs := make([]error, len(listeners))
	for i, l := range listeners {
		serving.Go(func() { errs[i] = s.Server.Serve(ctx, l) })
	}
	s.close = sync.OnceValue(func() error {
		stop()
		serving.Wait()
		return errors.Join(append(errs, os.RemoveAll(dir))...)
	})
}

// Close ends the Server. It may be called again.
func (s *Served) Close() error { return s.close() }
