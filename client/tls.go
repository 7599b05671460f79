package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
)

// ErrPeerRefused says that the other end of a TLS connection is not accepted here, or
// that its certificate is not valid.
var ErrPeerRefused = errors.New("peer refused")

// TLSConfig returns a configuration for connections between the node and the other
// members, whichever end it is. It shows the node's certificate, and accepts exactly
// the other members: it looks for the peer's key in the roster that Roster returns
// at that moment, and then sees that the certificate is valid now and has the form
// agreed on. So after a Refresh a key that left the roster is refused from the next
// handshake on; connections that are open stay open. Names of hosts and the system's
// roots play no part. A certificate that a member renewed is accepted before it is
// in the roster, as the key is the same.
//
// Which of the members it is Roster.ByCertificate tells; Listen and Dial do that on
// their own. The configuration may be cloned and given NextProtos; what makes the
// decision is its VerifyConnection, which has to stay.
//
// If some members of the roster are not verified, the error names them and is
// ErrUnverified: they have no certificate. Those that come to be in it by a Refresh
// are refused. So are all of them, and there is no error, if FormOptions said
// AllowUnverified.
func (m *Membership) TLSConfig() (*tls.Config, error) {
	if err := m.checkCertificates(); err != nil {
		return nil, err
	}
	return m.config(), nil
}

// checkCertificates reports members with which no TLS is possible, unless they are
// allowed.
func (m *Membership) checkCertificates() error {
	if m.allowUnverified {
		return nil
	}
	return m.Roster().checkCertificates()
}

// ServerTLSConfig returns a configuration for the endpoint where the member serves
// clients of the cluster, which are not members. It shows the node's certificate, by
// which clients with a roster know it (Roster.Dial), and asks the client for none:
// ClientAuth and what goes with it may be set.
func (m *Membership) ServerTLSConfig() (*tls.Config, error) {
	if _, err := m.Self().Certificate(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: m.certificateForClient}, nil
}

// ClientTLSConfig returns a configuration for clients of the cluster, which are not
// members. It accepts exactly the members of r, as Membership.TLSConfig does, and
// shows cert, or nothing if that is nil. If some members are not verified, the error
// names them and is ErrUnverified.
func (r *Roster) ClientTLSConfig(cert *tls.Certificate) (*tls.Config, error) {
	if err := r.checkCertificates(); err != nil {
		return nil, err
	}
	return r.config(cert), nil
}

func (m *Membership) config() *tls.Config {
	config := m.judge().config()
	config.GetCertificate = m.certificateForClient
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.certificate() }
	return config
}

func (r *Roster) config(cert *tls.Certificate) *tls.Config {
	config := r.judge().config()
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return config
}

func (m *Membership) certificateForClient(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.certificate()
}

// certificate returns what the node shows. As long as it is valid that is what the
// others have in their rosters, for programs that accept nothing else because they read
// the members' certificates from a file.
func (m *Membership) certificate() (*tls.Certificate, error) {
	cert, err := m.Self().Certificate()
	if err != nil {
		return nil, err
	}
	if now := m.o.Now(); checkDates(cert, now) != nil {
		if cert, err = renewed(m.o.Node, now); err != nil {
			return nil, err
		}
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: m.o.Node.Keys().Sig.Signer(), Leaf: cert}, nil
}

func renewed(n *identity.Node, now time.Time) (*x509.Certificate, error) {
	der, err := n.Certificate(now)
	if err != nil {
		return nil, fmt.Errorf("renew certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// judge decides who is accepted.
type judge struct {
	roster func() *Roster // asked at each handshake
	self   xlreg.SigKey   // refused, as a node is not its own peer; empty for a reader
	now    func() time.Time
}

func (m *Membership) judge() *judge {
	return &judge{roster: m.Roster, self: m.o.Node.Keys().SigKey, now: m.o.Now}
}

func (r *Roster) judge() *judge {
	return &judge{roster: func() *Roster { return r }, now: time.Now}
}

func (j *judge) config() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection does it
		SessionTicketsDisabled: true, // every connection proves its key
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := j.accept(&s)
			return err
		},
	}
}

// accept returns which member is on the other end. That it holds its key is proved
// by the handshake.
func (j *judge) accept(s *tls.ConnectionState) (*Member, error) {
	if len(s.PeerCertificates) == 0 {
		return nil, fmt.Errorf("%w: it shows no certificate", ErrPeerRefused)
	}
	cert := s.PeerCertificates[0]
	if xlreg.SigKey(cert.RawSubjectPublicKeyInfo) == j.self {
		return nil, fmt.Errorf("%w: its key is that of this node", ErrPeerRefused)
	}
	member, err := j.roster().identify(cert)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPeerRefused, err)
	}
	if err := checkDates(cert, j.now()); err != nil {
		return nil, fmt.Errorf("%w: certificate of %q %w", ErrPeerRefused, member.Token.Name, err)
	}
	return member, nil
}

func checkDates(cert *x509.Certificate, now time.Time) error {
	if now.Before(cert.NotBefore) {
		return fmt.Errorf("is not valid before %s, and it is %s", utc(cert.NotBefore), utc(now))
	}
	if now.After(cert.NotAfter) {
		return fmt.Errorf("expired at %s, and it is %s", utc(cert.NotAfter), utc(now))
	}
	return nil
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
