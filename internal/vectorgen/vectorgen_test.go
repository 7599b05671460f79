package vectorgen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
)

// generated makes the files once for all tests.
var generated = sync.OnceValues(Generate)

// class returns the vectors of one class, decoded into T.
func class[T any](t *testing.T, name string) map[string]T {
	t.Helper()
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]T)
	for path, content := range files {
		if !strings.HasPrefix(path, name+"/") {
			continue
		}
		var v T
		if err := json.Unmarshal(content, &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list[path] = v
	}
	if len(list) == 0 {
		t.Fatalf("no vectors of class %s", name)
	}
	return list
}

type certificateVector struct {
	Layer string
	Input struct{ Certificate, Field9 string }
}

// The layers of certificates are those of section 7.3, held against a reader of
// certificates that is not ours: what is for the handshake to refuse it refuses,
// too, and what is good it takes.
func TestCertificateLayers(t *testing.T) {
	odd := 0
	for name, v := range class[certificateVector](t, "certificate") {
		der, err := hex.DecodeString(v.Input.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		err = handshakeTakes(der)
		switch {
		case v.Layer == handshake && err == nil:
			t.Errorf("%s: a handshake takes it", name)
		case v.Layer == success && err != nil:
			t.Errorf("%s: %v", name, err)
		case v.Layer != success:
			odd++
		}
	}
	if odd < 77 {
		t.Errorf("%d odd certificates", odd)
	}
}

func handshakeTakes(der []byte) error {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if len(der) > 4<<10 {
		return errors.New("too large")
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return errors.New("too short a key")
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return errors.New("another curve")
		}
	default:
		return errors.New("another kind of key")
	}
	return c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
}

type keyVector struct {
	Layer string
	Input struct{ DER string }
	Want  struct{ Kind string }
}

func TestKeysOfP256(t *testing.T) {
	for name, v := range class[keyVector](t, "key") {
		if v.Want.Kind != "P-256" {
			continue
		}
		der, err := hex.DecodeString(v.Input.DER)
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.ParsePKIXPublicKey(der)
		if public, ok := key.(*ecdsa.PublicKey); err != nil || !ok || public.Curve != elliptic.P256() {
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
}
