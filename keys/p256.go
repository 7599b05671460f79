package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
)

// P256 is the kind of ECDSA keys on the curve P-256. A key takes microseconds to
// make where RSA takes tens of milliseconds, but no classic carrier knows it.
const P256 Kind = "P-256"

const (
	p256Bits  = 256
	p256Curve = "nistp256" // the curve's name in SSH
)

var p256Kind = kind{
	name:        P256,
	algorithm:   "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", // id-ecPublicKey, prime256v1
	ssh:         "ecdsa-sha2-nistp256",
	pem:         "EC PRIVATE KEY",
	certificate: "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", // ecdsa-with-SHA256
	parse:       parseP256,
	parseSSH:    parseP256FromSSH,
	parsePEM:    func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	wrap:        wrapP256,
	checkSize:   checkP256Size,
	generate:    generateP256,
}

var errNoClassic = errors.New("a P-256 key makes no classic signatures: want RSA")

type p256Public struct{ key *ecdsa.PublicKey }

// parseP256 reads a point that is uncompressed, on the curve and not at infinity.
func parseP256(bits []byte) (Public, error) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bits)
	if err != nil {
		return nil, fmt.Errorf("%w: not an uncompressed point on P-256", xlreg.ErrBadKey)
	}
	return p256Public{key}, nil
}

func parseP256FromSSH(fields []byte) (Public, error) {
	curve, rest, err := cutSSHString(fields)
	if err != nil || string(curve) != p256Curve {
		return nil, fmt.Errorf("%w: not on the curve %s", xlreg.ErrBadKey, p256Curve)
	}
	point, rest, err := cutSSHString(rest)
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: not one point", xlreg.ErrBadKey)
	}
	return parseP256(point)
}

func (k p256Public) Kind() Kind { return P256 }

func (k p256Public) Bits() int { return p256Bits }

func (k p256Public) Check(p xlreg.Protocol) error {
	if p.Classic() {
		return fmt.Errorf("kind %s, want %s over %v", P256, RSA, p)
	}
	return nil
}

func (k p256Public) point() []byte {
	point, err := k.key.Bytes()
	if err != nil {
		panic(err) // every key here came from a point or from the standard library
	}
	return point
}

func (k p256Public) DER() []byte { return marshalInfo(p256Kind.algorithm, k.point()) }

// SSH follows RFC 5656, section 3.1: the algorithm's name, the curve's and the point,
// each after its length.
func (k p256Public) SSH() []byte {
	form := appendSSHString(nil, []byte(p256Kind.ssh))
	form = appendSSHString(form, []byte(p256Curve))
	return appendSSHString(form, k.point())
}

// Verify takes nothing but a signature in minimal DER with nothing after it.
func (k p256Public) Verify(s Scheme, digest, sig []byte) bool {
	return s != SchemeClassic && ecdsa.VerifyASN1(k.key, digest, sig)
}

type p256Private struct{ key *ecdsa.PrivateKey }

func wrapP256(key any) (Private, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil
	}
	if private == nil {
		return nil, errNoKey
	}
	if private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: want the curve P-256", xlreg.ErrBadKey)
	}
	if _, err := private.PublicKey.Bytes(); err != nil {
		return nil, fmt.Errorf("%w: %w", xlreg.ErrBadKey, err)
	}
	return p256Private{private}, nil
}

// checkP256Size takes 0, too, as there is only one size.
func checkP256Size(bits int) error {
	if bits != 0 && bits != p256Bits {
		return fmt.Errorf("%d bits: want %d", bits, p256Bits)
	}
	return nil
}

func generateP256(int) (Private, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return p256Private{key}, nil
}

func (k p256Private) Public() Public        { return p256Public{&k.key.PublicKey} }
func (k p256Private) Signer() crypto.Signer { return k.key }

func (k p256Private) Sign(s Scheme, digest []byte) ([]byte, error) {
	if s == SchemeClassic {
		return nil, errNoClassic
	}
	return ecdsa.SignASN1(rand.Reader, k.key, digest)
}
