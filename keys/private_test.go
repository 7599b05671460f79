package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
)

func TestGenerate(t *testing.T) {
	keys := testKeys()
	if Equal(keys.Comms, keys.Sig) {
		t.Error("both keys are the same")
	}
	if bits := keys.Comms.Public().Bits(); bits != 2048 {
		t.Errorf("%d bits", bits)
	}
	public, err := Parse(keys.SigKey)
	if err != nil {
		t.Fatal(err)
	}
	if !public.(rsaPublic).key.Equal(&rsaOf(keys).PublicKey) {
		t.Error("SigKey is not the public half of Sig")
	}
	for _, bits := range []int{0, 512, 1024, 2047, 2049, 8192} {
		if _, err := Generate(RSA, bits); err == nil {
			t.Errorf("%d bits: made", bits)
		}
	}
	for _, bits := range []int{1, 255, 384, 2048} {
		if _, err := Generate(P256, bits); err == nil {
			t.Errorf("P-256 with %d bits: made", bits)
		}
	}
	if curve, err := Generate(P256, 256); err != nil || Equal(curve.Comms, curve.Sig) || curve.Sig.Public().Bits() != 256 {
		t.Errorf("P-256: %v", err)
	}
	if _, err := Generate("DSA", 2048); err == nil {
		t.Error("made a key of no kind")
	}
}

func TestParseChoice(t *testing.T) {
	for word, want := range map[string]string{"p256": "P-256 256", "rsa2048": "RSA 2048", "rsa3072": "RSA 3072", "rsa4096": "RSA 4096"} {
		kind, bits, err := ParseChoice(word)
		if got := fmt.Sprint(kind, " ", bits); err != nil || got != want {
			t.Errorf("%s: got %s, %v", word, got, err)
		}
		if err := kindNamed(kind).checkSize(bits); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
	for _, word := range []string{"", "rsa", "P256", "rsa1024"} {
		if _, _, err := ParseChoice(word); err == nil || !strings.Contains(err.Error(), "p256, rsa2048") {
			t.Errorf("%q: %v", word, err)
		}
	}
}

func TestNewPrivateRefuses(t *testing.T) {
	even := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}}
	short := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(77), E: 65537}}
	for _, bad := range []any{
		nil, (*rsa.PrivateKey)(nil), even, short, (*ecdsa.PrivateKey)(nil), new(ecdsa.PrivateKey), p384(t), "key",
	} {
		if key, err := NewPrivate(bad); err == nil || key != nil {
			t.Errorf("%T taken", bad)
		}
	}
}

func TestNewSetRefuses(t *testing.T) {
	good := smallKeys().Sig
	if _, err := NewSet(nil, good); err == nil {
		t.Error("taken without a comms key")
	}
	if _, err := NewSet(good, nil); err == nil {
		t.Error("taken without a sig key")
	}
}

// What is not of a scheme that its kind has is neither made nor taken.
func TestSchemes(t *testing.T) {
	key, digest := smallKeys().Sig, make([]byte, 32)
	size := map[Scheme]int{SchemeClassic: 20, SchemeToken: 32, SchemeCertificate: 32}
	for s := range SchemeCertificate + 2 {
		sig, err := key.Sign(s, digest[:size[s]])
		if known := size[s] > 0; known != (err == nil) || known != key.Public().Verify(s, digest[:size[s]], sig) {
			t.Errorf("scheme %d: %v", s, err)
		}
		if _, err := key.Sign(s, digest[:31]); err == nil {
			t.Errorf("scheme %d: signed what is no digest", s)
		}
		for other := range SchemeCertificate + 2 {
			if other != s && key.Public().Verify(other, digest[:size[other]], sig) {
				t.Errorf("a signature of scheme %d stands for one of %d", s, other)
			}
		}
	}
}

func TestEncryption(t *testing.T) {
	key := smallKeys().Comms
	secret := key.(Decrypter)
	ciphertext, err := key.Public().(Encrypter).Encrypt([]byte("plaintext"))
	if err != nil || len(ciphertext) != secret.CiphertextLen() || secret.CiphertextLen() != 128 {
		t.Fatalf("%d bytes, %v", len(ciphertext), err)
	}
	if plain, err := secret.Decrypt(ciphertext); err != nil || string(plain) != "plaintext" {
		t.Errorf("got %q, %v", plain, err)
	}
	ciphertext[0] ^= 1
	if _, err := secret.Decrypt(ciphertext); err == nil {
		t.Error("decrypted what was changed")
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func opensshOf(t testing.TB, key any, passphrase string) []byte {
	t.Helper()
	marshal := func() (*pem.Block, error) { return ssh.MarshalPrivateKey(key, "") }
	if passphrase != "" {
		marshal = func() (*pem.Block, error) { return ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase)) }
	}
	block, err := marshal()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func TestParsePrivateFormsOfP256(t *testing.T) {
	key := curveKeys().Sig.Signer().(*ecdsa.PrivateKey)
	pkcs8, err := EncodePrivate(curveKeys().Sig)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"PKCS #8": pkcs8, "SEC 1": pemOf("EC PRIVATE KEY", sec1), "OpenSSH": opensshOf(t, key, ""),
	} {
		if got, err := ParsePrivate(data); err != nil || !Equal(got, curveKeys().Sig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePrivateForms(t *testing.T) {
	key := rsaOf(smallKeys())
	pkcs8, err := EncodePrivate(smallKeys().Sig)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(pkcs8, []byte("-----BEGIN PRIVATE KEY-----\n")) {
		t.Errorf("written as %.30q", pkcs8)
	}
	forms := map[string][]byte{
		"PKCS #1":     pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		"PKCS #8":     pkcs8,
		"OpenSSH":     opensshOf(t, key, ""),
		"text before": append([]byte("a comment\n"), pkcs8...),
		"CRLF":        bytes.ReplaceAll(pkcs8, []byte("\n"), []byte("\r\n")),
	}
	for name, data := range forms {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePrivate(data)
			if err != nil {
				t.Fatal(err)
			}
			if !Equal(got, smallKeys().Sig) {
				t.Error("another key")
			}
		})
	}
}

func TestParsePrivateRefuses(t *testing.T) {
	key := rsaOf(smallKeys())
	der := x509.MarshalPKCS1PrivateKey(key)
	ec := p384(t)
	ecDER, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	withHeader := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-128-CBC,00"}, Bytes: der})
	cases := map[string]struct {
		data []byte
		want string
	}{
		"nothing":             {nil, "not a PEM file"},
		"no PEM":              {der, "not a PEM file"},
		"a public key":        {pemOf("PUBLIC KEY", public), `"PUBLIC KEY"`},
		"half a key":          {pemOf("RSA PRIVATE KEY", der[:len(der)/2]), "parse"},
		"another curve":       {pemOf("PRIVATE KEY", ecDER), "want the curve P-256"},
		"the same of SSH":     {opensshOf(t, ec, ""), "want the curve P-256"},
		"another kind":        {pemOf("PRIVATE KEY", ed25519DER(t)), "not a key of kind RSA or P-256"},
		"old encryption":      {withHeader, "encrypted"},
		"PKCS #8, encrypted":  {pemOf("ENCRYPTED PRIVATE KEY", der), "encrypted"},
		"OpenSSH, encrypted":  {opensshOf(t, key, "secret"), "encrypted"},
		"OpenSSH, no content": {pemOf("OPENSSH PRIVATE KEY", nil), "parse"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePrivate(c.data)
			if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func ed25519DER(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestKeysOfOtherPrograms(t *testing.T) {
	dir := t.TempDir()
	commands := map[string][]string{
		"PKCS #8":      {"openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out"},
		"PKCS #1":      {"openssl", "genrsa", "-traditional", "-out"},
		"OpenSSH":      {"ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"},
		"OpenSSH, PEM": {"ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-m", "PEM", "-f"},

		"P-256, PKCS #8":      {"openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"},
		"P-256, SEC 1":        {"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"},
		"P-256, OpenSSH":      {"ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f"},
		"P-256, OpenSSH, PEM": {"ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-m", "PEM", "-f"},
	}
	for name, command := range commands {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			args := slices.Concat(command, []string{path})
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v (Debian packages openssl, openssh-client): %v\n%s", args, err, out)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParsePrivate(data); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzParsePrivate(f *testing.F) {
	key := rsaOf(smallKeys())
	f.Add(pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)))
	f.Add(opensshOf(f, key, ""))
	pkcs8, err := EncodePrivate(smallKeys().Sig)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pkcs8)
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParsePrivate(data)
		if err != nil {
			return
		}
		again, err := EncodePrivate(key)
		if err != nil {
			t.Fatal(err)
		}
		read, err := ParsePrivate(again)
		if err != nil {
			t.Fatal(err)
		}
		if !Equal(read, key) {
			t.Error("the key changed")
		}
	})
}

func TestSSHFormIsThatOfTheLibrary(t *testing.T) {
	for _, keys := range []*Set{testKeys(), otherKeys(), smallKeys(), curveKeys()} {
		public, err := ssh.NewPublicKey(keys.Sig.Signer().Public())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(public.Marshal(), keys.Sig.Public().SSH()) {
			t.Error("another form")
		}
		if line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))); line != FormatSSH(keys.Sig.Public()) {
			t.Errorf("got %q, want %q", FormatSSH(keys.Sig.Public()), line)
		}
		got, err := Fingerprint(keys.SigKey)
		if err != nil {
			t.Fatal(err)
		}
		if want := ssh.FingerprintSHA256(public); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := Fingerprint("no key"); !errors.Is(err, xlreg.ErrBadKey) {
		t.Errorf("got %v", err)
	}
}

func TestSSHFormRoundTrip(t *testing.T) {
	n := rsaOf(testKeys()).N
	rapid.Check(t, func(t *rapid.T) {
		e := 2*rapid.IntRange(1, 1<<30-1).Draw(t, "e") + 1
		drop := rapid.UintRange(0, 1024).Draw(t, "drop")
		modulus := new(big.Int).Rsh(n, drop)
		key := &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: e}
		comment := rapid.SampledFrom([]string{"", " ", " me@here", " two words"}).Draw(t, "comment")
		got, err := ParseSSH(FormatSSH(rsaPublic{key}) + comment)
		if err != nil {
			t.Fatal(err)
		}
		if !got.(rsaPublic).key.Equal(key) {
			t.Error("another key")
		}
	})
}

func TestParseSSHRefuses(t *testing.T) {
	line := func(form string) string { return "ssh-rsa " + base64.StdEncoding.EncodeToString([]byte(form)) }
	part := func(s string) string { return string(appendSSHString(nil, []byte(s))) }
	n := "\x00" + string(rsaOf(testKeys()).N.Bytes())
	cases := map[string]string{
		"nothing":               "",
		"algorithm":             part("ssh-dss") + part("\x01\x00\x01") + part(n),
		"no exponent":           part("ssh-rsa"),
		"no modulus":            part("ssh-rsa") + part("\x01\x00\x01"),
		"cut short":             part("ssh-rsa") + part("\x01\x00\x01") + part(n)[:100],
		"length of 4 GiB":       part("ssh-rsa") + part("\x01\x00\x01") + "\xff\xff\xff\xff" + n,
		"more after":            part("ssh-rsa") + part("\x01\x00\x01") + part(n) + "\x00",
		"no leading zero":       part("ssh-rsa") + part("\x01\x00\x01") + part(n[1:]),
		"two leading zeros":     part("ssh-rsa") + part("\x01\x00\x01") + part("\x00"+n),
		"zero before exponent":  part("ssh-rsa") + part("\x00\x01\x00\x01") + part(n),
		"exponent 1":            part("ssh-rsa") + part("\x01") + part(n),
		"exponent even":         part("ssh-rsa") + part("\x01\x00\x00") + part(n),
		"exponent empty":        part("ssh-rsa") + part("") + part(n),
		"exponent 2^31 + 1":     part("ssh-rsa") + part("\x00\x80\x00\x00\x01") + part(n),
		"exponent of 9 bytes":   part("ssh-rsa") + part("\x01\x00\x00\x00\x00\x00\x00\x00\x03") + part(n),
		"modulus of 512 bits":   part("ssh-rsa") + part("\x01\x00\x01") + part(n[len(n)-64:]),
		"modulus of 8200 bits":  part("ssh-rsa") + part("\x01\x00\x01") + part("\x01"+strings.Repeat("\x01", 1024)),
		"modulus empty":         part("ssh-rsa") + part("\x01\x00\x01") + part(""),
		"modulus, last bit off": part("ssh-rsa") + part("\x01\x00\x01") + part(n[:len(n)-1]+"\x02"),
	}
	for name, form := range cases {
		if _, err := ParseSSH(line(form)); !errors.Is(err, xlreg.ErrBadKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	good := line(part("ssh-rsa") + part("\x01\x00\x01") + part(n))
	if _, err := ParseSSH(good); err != nil {
		t.Errorf("the form that the others are made from: %v", err)
	}
	for _, bad := range []string{"", "ssh-rsa", "ssh-dss " + good[8:]} {
		if _, err := ParseSSH(bad); err == nil || err.Error() != "want ssh-rsa or ecdsa-sha2-nistp256 and a key in base64" {
			t.Errorf("%.20q: got %v", bad, err)
		}
	}
	for _, bad := range []string{"ssh-rsa ", " " + good, good[8:], good[:len(good)-1], "ssh-rsa  " + good[8:]} {
		if key, err := ParseSSH(bad); err == nil || key != nil {
			t.Errorf("%.20q taken", bad)
		}
	}
}

func TestParseFingerprint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum [32]byte
		copy(sum[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "sum"))
		text := FormatFingerprint(sum)
		url := strings.NewReplacer("+", "-", "/", "_").Replace(text)
		for _, form := range []string{text, url, strings.TrimPrefix(text, "SHA256:"), strings.TrimPrefix(url, "SHA256:")} {
			got, err := ParseFingerprint(form)
			if err != nil {
				t.Fatal(err)
			}
			if got != sum {
				t.Errorf("%s: got %x, want %x", form, got, sum)
			}
		}
	})
	good := FormatFingerprint([32]byte{})
	for _, bad := range []string{"", "SHA256:", good[:49], good + "A", good + "=", good[:49] + "B", good[:49] + "\n", good + "\n", "MD5:" + good[7:], "SHA256:" + good} {
		if _, err := ParseFingerprint(bad); err == nil {
			t.Errorf("%q taken", bad)
		}
	}
}
