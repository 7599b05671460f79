// Package adminclient is the client of a registry's admin side: over the socket in the
// data directory of a registry, or over HTTPS from elsewhere.
package adminclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Options say where the admin side is, and who asks. Either Socket or URL is given.
type Options struct {
	// Socket is the path of the socket in the data directory. Whoever may open it needs
	// no token.
	Socket string
	// Patience is how long a socket that nobody serves yet is tried.
	Patience time.Duration

	// URL is https://HOST:PORT, or http:// on this machine.
	URL string
	// Token is an admin's token; empty: none.
	Token string
	// Certificate is that of an admin key; nil: none.
	Certificate *tls.Certificate
	// Roots are who vouches for the server's certificate; nil: whom the system trusts.
	Roots *x509.CertPool
	// Pin is the fingerprint of the server's key, "SHA256:…", or the sum of it that the
	// registry logs and curl takes, "sha256//…". Then nobody else needs to vouch for it.
	Pin string
}

// Client asks an admin side. It may be used from several goroutines.
type Client struct {
	base  string // the URL without a slash at its end
	place string // for people
	token string
	keyed bool // it shows a certificate
	http  *http.Client
}

// What a request may take. Backups and streams have no bound as a whole, but each of
// their pieces does.
const (
	dialTime    = 10 * time.Second
	requestTime = 20 * time.Second
	pieceTime   = 60 * time.Second
	maxAnswer   = 16 << 20
	maxProblem  = 64 << 10
)

const apiPath = "/api/v1"

// What can be wrong with Options.
var (
	ErrNoPlace = errors.New("neither a socket nor a URL is given")
	ErrBadURL  = errors.New("want a URL such as https://registry.example.org:8443")
	ErrClear   = errors.New("over http:// everyone on the way could read along: use https://")
)

// New returns a Client. It connects to nobody yet. It must be closed.
func New(o Options) (*Client, error) {
	switch {
	case o.URL != "":
		return overNetwork(o)
	case o.Socket != "":
		return overSocket(o), nil
	}
	return nil, ErrNoPlace
}

func overSocket(o Options) *Client {
	transport := newTransport()
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialSocket(ctx, o.Socket, o.Patience)
	}
	return &Client{base: "http://localhost", place: o.Socket, http: newHTTP(transport)}
}

func overNetwork(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q: %w", o.URL, ErrBadURL)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("%q: %w", o.URL, ErrClear)
	}
	transport := newTransport()
	transport.Proxy = http.ProxyFromEnvironment
	transport.DialContext = (&net.Dialer{Timeout: dialTime}).DialContext
	if transport.TLSClientConfig, err = newTLS(&o); err != nil {
		return nil, err
	}
	return &Client{base: strings.TrimRight(u.String(), "/"), place: u.Host, token: o.Token, keyed: o.Certificate != nil, http: newHTTP(transport)}, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		TLSHandshakeTimeout:    dialTime,
		ResponseHeaderTimeout:  pieceTime,
		IdleConnTimeout:        pieceTime,
		MaxResponseHeaderBytes: maxProblem,
		MaxIdleConnsPerHost:    2,
		ForceAttemptHTTP2:      true,
	}
}

func newHTTP(transport *http.Transport) *http.Client {
	return &http.Client{
		Transport: transport,
		// An admin side sends nobody elsewhere; a token must not go there.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Close closes the connections that are kept for the next request.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Place says where the client asks, for people.
func (c *Client) Place() string { return c.place }

// call is one request.
type call struct {
	method string
	path   string // below /api/v1, escaped
	query  url.Values
	match  string // the tag that the cluster must have; empty: any
	body   any    // nil: none
	accept string
	lastID string // of the stream's event before
}

// open sends a request, and returns an answer that says that it went well.
func (c *Client) open(ctx context.Context, r *call) (*http.Response, error) {
	request, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreached(ctx, err)
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		return nil, c.readProblem(answer)
	}
	return answer, nil
}

func (c *Client) newRequest(ctx context.Context, r *call) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	target := c.base + apiPath + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	set := func(name, value string) {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	set("Accept", r.accept)
	set("Last-Event-ID", r.lastID)
	if r.body != nil {
		set("Content-Type", "application/json")
	}
	set("If-Match", r.match)
	if c.token != "" {
		set("Authorization", "Bearer "+c.token)
	}
	return request, nil
}

// do sends a request and reads what is answered into to, unless that is nil.
func (c *Client) do(ctx context.Context, r *call, to any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	r.accept = "application/json"
	answer, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("%w: it is longer than %d MiB", ErrForeign, maxAnswer>>20)
	}
	if to == nil {
		return nil
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return nil
}
