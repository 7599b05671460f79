package client

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// ByCertificate returns the member that a certificate is of: one with its key, in
// the form that Member.Certificate checks, though it may be newer than the one in
// the roster. It returns nil if there is none. Dates are not checked, and whoever shows
// a certificate need not own it: in TLS the handshake proves that.
func (r *Roster) ByCertificate(cert *x509.Certificate) *Member {
	m, err := r.identify(cert)
	if err != nil {
		return nil
	}
	return m
}

// identify looks at every member with the key: several may have the same one, and then
// the names in their certificates tell them apart.
func (r *Roster) identify(cert *x509.Certificate) (*Member, error) {
	var candidates []*Member
	for i := range r.Members {
		if m := &r.Members[i]; m.Token.SigKey == xlreg.SigKey(cert.RawSubjectPublicKeyInfo) {
			candidates = append(candidates, m)
		}
	}
	if len(candidates) == 0 {
		return nil, fmt.Errorf("its key is that of no member of %s", clusterText(&r.Cluster))
	}
	shown, err := keys.ReadCertificate(cert.Raw)
	if err != nil {
		return nil, err
	}
	var why error
	for _, m := range candidates {
		switch {
		case !m.Verified:
			why = fmt.Errorf("its key is that of %q: %w", m.Token.Name, ErrUnverified)
		case shown.Name == m.Token.Name:
			return m, nil
		default:
			why = fmt.Errorf("it is %q, and %q has its key", shown.Name, m.Token.Name)
		}
	}
	return nil, why
}

// CertificatesPEM returns the certificates of all members, in the order of their
// indexes: a file of trust anchors for programs built on OpenSSL or Go. If some
// members are not verified, the error names them and is ErrUnverified.
func (r *Roster) CertificatesPEM() ([]byte, error) {
	if err := r.checkCertificates(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for i := range r.Members {
		cert, err := r.Members[i].Certificate()
		if err != nil {
			return nil, err
		}
		block := &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// CertificatesExpire returns when the first of the members' certificates expires,
// and the zero time if there are none. Whoever holds exactly these, as programs do
// that read CertificatesPEM, should have newer ones by then: a node makes a new one
// when a third of the life is left, and it is in the rosters that are read after it
// joined again.
func (r *Roster) CertificatesExpire() time.Time {
	var first time.Time
	for i := range r.Members {
		cert, err := r.Members[i].Certificate()
		if err != nil {
			continue
		}
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first
}

// warnOfDates tells the log which members have certificates that are not valid now, so
// that TLS with them will fail: their clocks are wrong, or this one is.
func (o *Options) warnOfDates(r *Roster) {
	now := o.Now()
	for i := range r.Members {
		m := &r.Members[i]
		cert, err := m.Certificate()
		if err != nil {
			continue
		}
		if err := checkDates(cert, now); err != nil {
			o.Logger.Warn("certificate of a member is not valid now", "member", string(m.Token.Name), "err", err)
		}
	}
}

// checkCertificates reports members that have no certificate, or none that will do.
func (r *Roster) checkCertificates() error {
	if names := r.Unverified(); len(names) > 0 {
		return fmt.Errorf("certificates of %s: %w: %s", clusterText(&r.Cluster), ErrUnverified, quoted(names))
	}
	for i := range r.Members {
		if _, err := r.Members[i].Certificate(); err != nil {
			return err
		}
	}
	return nil
}

func quoted(names []xlreg.Name) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(texts, ", ")
}
