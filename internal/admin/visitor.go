package admin

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/keys"
)

// Visitor is whoever sends a request, as far as that is known.
type Visitor struct {
	Name    string // of the token, or the fingerprint of the key; "local" on the socket; empty: nobody knows
	From    string // an address, or "socket"
	Reads   bool   // may see everything
	Changes bool   // may change everything
	ByToken bool   // it has shown a token, which may be revoked
}

// visitorKey is that of the Visitor in the context of a request.
type visitorKey struct{}

// VisitorOf returns who sent the request that a context belongs to.
func VisitorOf(ctx context.Context) Visitor {
	v, _ := ctx.Value(visitorKey{}).(Visitor)
	return v
}

func withVisitor(r *http.Request, v Visitor) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
}

// local is everybody on the socket: its file mode says who can open it.
func local() Visitor { return Visitor{Name: "local", From: "socket", Reads: true, Changes: true} }

// right is what somebody has to be allowed for a request.
type right string

const (
	anybody right = "none" // nothing is told but that there is a registry
	read    right = "read"
	change  right = "change"
)

// How to get in, as it is said to those who are refused.
const (
	needToken  = "send a token as 'Authorization: Bearer xlra_…'; 'xlreg admin tokens create NAME' makes one on the registry's machine"
	needChange = "this token may only read; 'xlreg admin tokens create NAME' makes one that may change things"
)

// may returns an error that says what to do if v may not have a right.
func (v *Visitor) may(what right) error {
	switch {
	case what == anybody, what == read && v.Reads, what == change && v.Changes:
		return nil
	case v.Name == "":
		return fmt.Errorf("%w: %s", errUnknown, needToken)
	}
	return fmt.Errorf("%w: %s", errForbidden, needChange)
}

// identify finds out who sent a request over TCP. What is shown has to be good, even if
// less would do: whoever shows a token wants to know that it is not.
func (s *Server) identify(r *http.Request) (Visitor, error) {
	v := Visitor{From: r.RemoteAddr, Reads: fromHere(r)}
	token, shown := tokenOf(r)
	if !shown {
		return s.byCertificate(r, v)
	}
	source := guard.SourceOf(remoteAddr(r))
	claim := s.failures.Claim(source, time.Now(), 1)
	known, ok := s.cfg.Tokens.find(token)
	_ = claim.Settle(!ok, nil) // what is good costs nothing
	switch {
	case ok:
		return Visitor{Name: known.Name, From: v.From, Reads: true, Changes: !known.ReadOnly, ByToken: true}, nil
	case !claim.Allowed():
		return v, errTooOften
	}
	if s.wrong.Allow() {
		s.cfg.Logger.Warn("admin token refused", "from", v.From, "method", r.Method, "path", r.URL.Path)
	}
	return v, fmt.Errorf("%w: the token is not known here, or has been revoked; %s", errUnknown, needToken)
}

// byCertificate adds what a client certificate says. One that is none of an admin's says
// nothing: browsers send what they have.
func (s *Server) byCertificate(r *http.Request, v Visitor) (Visitor, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return v, nil
	}
	shown := r.TLS.PeerCertificates[0]
	fingerprint := fingerprintOf(shown)
	if !slices.Contains(s.cfg.Admins, fingerprint) {
		return v, nil
	}
	if err := checkCertificate(shown, time.Now()); err != nil {
		return v, fmt.Errorf("%w: the certificate of key %s: %w", errUnknown, fingerprint, err)
	}
	return Visitor{Name: fingerprint, From: v.From, Reads: true, Changes: true}, nil
}

// fingerprintOf returns the fingerprint of a certificate's key, which is empty if the key
// is of a kind that no admin can have.
func fingerprintOf(c *x509.Certificate) string {
	fingerprint, _ := keys.Fingerprint(xlreg.SigKey(c.RawSubjectPublicKeyInfo))
	return fingerprint
}

// checkCertificate looks at the certificate of an admin's key, of which TLS has had the
// proof that the peer has it.
func checkCertificate(c *x509.Certificate, now time.Time) error {
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return fmt.Errorf("it is not signed with the key itself: %w", err)
	}
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("it is valid from %s to %s only", c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// tokenOf returns the token that goes with a request. Browsers know no other way to send
// one than as a password.
func tokenOf(r *http.Request) (token string, shown bool) {
	given := r.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(given, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest), true
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	return "", given != ""
}

// forwarded are headers by which a proxy says that it asks for somebody else.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"}

// fromHere reports whether a request was sent on this machine, by a name that nobody else
// can give it.
func fromHere(r *http.Request) bool {
	for _, name := range forwarded {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return remoteAddr(r).IsLoopback() && localAddr(r).IsLoopback() && isLoopbackName(hostOf(r))
}

func remoteAddr(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

func localAddr(r *http.Request) netip.Addr {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	return addrOf(addr)
}

// normalAdmins brings fingerprints into the one form in which they are compared.
func normalAdmins(given []string) ([]string, error) {
	admins := make([]string, 0, len(given))
	for _, text := range given {
		sum, err := keys.ParseFingerprint(text)
		if err != nil {
			return nil, err
		}
		admins = append(admins, keys.FormatFingerprint(sum))
	}
	return admins, nil
}
