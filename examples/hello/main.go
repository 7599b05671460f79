// Command hello is a program that is a member of a cluster, and knows nothing of
// xlreg but the environment:
//
//	xlreg run -n 3 --pass-listeners -- hello
//
// Each member keeps a key, and reads those of all others over mutual TLS. It ends
// when it has read them all and has been read by all.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := hello(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

// roster is as much of the roster file as is of interest here.
type roster struct {
	Members []struct {
		Name      string   `json:"name"`
		Endpoints []string `json:"endpoints"`
	} `json:"members"`
}

func hello(ctx context.Context) error {
	self := os.Getenv("XLREG_SELF")
	all, err := readRoster(os.Getenv("XLREG_ROSTER"))
	if err != nil {
		return err
	}
	config, err := mutualTLS(os.Getenv("XLREG_TLS_CERT"), os.Getenv("XLREG_TLS_KEY"), os.Getenv("XLREG_TLS_PEERS"))
	if err != nil {
		return err
	}
	l, err := passedListener()
	if err != nil {
		return err
	}
	mine := newStore(self, len(all.Members)-1)
	server := &http.Server{Handler: mine, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(tls.NewListener(l, config)) }()
	err = readAll(ctx, self, all, config)
	if err == nil {
		err = mine.wait(ctx)
	}
	// The others may still be reading: Shutdown lets them.
	err = errors.Join(err, server.Shutdown(context.WithoutCancel(ctx)))
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

func readRoster(path string) (*roster, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("start this with 'xlreg run': %w", err)
	}
	all := new(roster)
	return all, json.Unmarshal(data, all)
}

// mutualTLS accepts exactly the members, whichever end they are on.
func mutualTLS(cert, key, peers string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(peers)
	if err != nil {
		return nil, err
	}
	members := x509.NewCertPool()
	if !members.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("no certificates in %s", peers)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		RootCAs:      members,
		ClientCAs:    members,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}, nil
}

// passedListener returns the member's port, which was open from the start: the
// first file after the standard ones, as of systemd's socket activation.
func passedListener() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") != fmt.Sprint(os.Getpid()) {
		return nil, errors.New("no listener: start this with --pass-listeners")
	}
	f := os.NewFile(3, "listener")
	defer f.Close()
	return net.FileListener(f)
}

// store has one key, and counts the members that have read it.
type store struct {
	value   string
	readers int
	done    chan struct{} // closed when all have

	mu   sync.Mutex
	seen map[string]bool // guarded by mu
}

func newStore(self string, readers int) *store {
	return &store{value: "hello from " + self, readers: readers, done: make(chan struct{}), seen: make(map[string]bool)}
}

// ServeHTTP answers a member, whose certificate says who it is.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.WriteString(w, s.value); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.seen)
	s.seen[r.TLS.PeerCertificates[0].Subject.CommonName] = true
	if len(s.seen) == s.readers && before < s.readers {
		close(s.done)
	}
}

func (s *store) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readAll reads the keys of all others. Their ports are open already, so nobody has
// to try again.
func readAll(ctx context.Context, self string, all *roster, config *tls.Config) error {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	for _, m := range all.Members {
		if m.Name == self {
			continue
		}
		value, err := read(ctx, c, "https://"+m.Endpoints[0])
		if err != nil {
			return fmt.Errorf("read the key of %s: %w", m.Name, err)
		}
		fmt.Printf("%q on %s\n", value, m.Name)
	}
	return nil
}

func read(ctx context.Context, c *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := c.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	value, err := io.ReadAll(response.Body)
	return string(value), err
}
