package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
)

// keySizes are the RSA keys that the vectors use, by the names of their files.
var keySizes = map[string]int{
	"registry-comms": 2048,
	"registry-sig":   2048,
	"registry-next":  2048,
	"node-comms":     2048,
	"node-sig":       2048,
	"other-sig":      2048,
	"small-comms":    1024,
	"small-sig":      1024,
}

// curveKeys are the keys on P-256, by the names of their files.
var curveKeys = []string{"p256-comms", "p256-sig", "other-p256-sig"}

const keyExponent = 65537

// keyNotice goes before each key, where PEM allows any text.
const keyNotice = `This is a public test key. It is made from a fixed seed that anyone can read, is
part of published test vectors, and protects nothing. Never use it.
`

// keys are all private keys that the vectors use.
type keys struct {
	rsa  map[string]*rsa.PrivateKey
	p256 map[string]*ecdsa.PrivateKey
	leaf *ecdsa.PrivateKey // of the registry's TLS leaf
}

func makeKeys() (*keys, error) {
	k := &keys{rsa: make(map[string]*rsa.PrivateKey), p256: make(map[string]*ecdsa.PrivateKey)}
	for name, bits := range keySizes {
		key, err := makeRSA(newStream("key "+name), bits)
		if err != nil {
			return nil, fmt.Errorf("make key %s: %w", name, err)
		}
		k.rsa[name] = key
	}
	for _, version := range []string{"1.8.4", "1.9.24"} {
		key, err := recordedKey(version)
		if err != nil {
			return nil, fmt.Errorf("read key of recorded server %s: %w", version, err)
		}
		k.rsa["deployed-"+version+"-comms"] = key
	}
	for _, name := range curveKeys {
		key, err := makeP256(name)
		if err != nil {
			return nil, err
		}
		k.p256[name] = key
	}
	leaf, err := makeP256("registry-leaf")
	k.leaf = leaf
	return k, err
}

func makeP256(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), random("key "+name, 32))
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", name, err)
	}
	return key, nil
}

// makeRSA searches its primes itself, since crypto/rsa takes no randomness but
// the system's. It leaks the key by its timing, which does not matter here: the
// key is published.
func makeRSA(s *stream, bits int) (*rsa.PrivateKey, error) {
	e := big.NewInt(keyExponent)
	for {
		p, q := makePrime(s, bits/2), makePrime(s, bits/2)
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		return assembleRSA(p, q, d)
	}
}

func assembleRSA(p, q, d *big.Int) (*rsa.PrivateKey, error) {
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: keyExponent},
		D:         d,
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	return key, key.Validate()
}

// makePrime returns the first prime from a random place on, whose two highest
// bits are set so that a product of two has exactly twice its length.
func makePrime(s *stream, bits int) *big.Int {
	candidate := new(big.Int).SetBytes(s.bytes(bits / 8))
	candidate.SetBit(candidate, bits-1, 1).SetBit(candidate, bits-2, 1).SetBit(candidate, 0, 1)
	two := big.NewInt(2)
	for sieve := newSieve(candidate); ; sieve.step() {
		if sieve.coprime() && candidate.ProbablyPrime(10) {
			return candidate
		}
		candidate.Add(candidate, two)
	}
}

// sieve keeps the remainders of a growing number by the small primes.
type sieve struct{ primes, remainders []uint64 }

func newSieve(n *big.Int) *sieve {
	s := new(sieve)
	mod := new(big.Int)
	for p := uint64(3); p < 1<<12; p += 2 {
		if !new(big.Int).SetUint64(p).ProbablyPrime(0) {
			continue
		}
		s.primes = append(s.primes, p)
		s.remainders = append(s.remainders, mod.Mod(n, new(big.Int).SetUint64(p)).Uint64())
	}
	return s
}

func (s *sieve) coprime() bool {
	for _, r := range s.remainders {
		if r == 0 {
			return false
		}
	}
	return true
}

// step follows the number as it grows by two.
func (s *sieve) step() {
	for i, p := range s.primes {
		s.remainders[i] = (s.remainders[i] + 2) % p
	}
}

// recordedKey reads the comms key of an original server, of which the primes
// were kept.
func recordedKey(version string) (*rsa.PrivateKey, error) {
	data, err := recorded.ReadFile("recorded/" + version + "-server-comms.json")
	if err != nil {
		return nil, err
	}
	var numbers struct{ P, Q, D string }
	if err := json.Unmarshal(data, &numbers); err != nil {
		return nil, err
	}
	var ints [3]*big.Int
	for i, digits := range []string{numbers.P, numbers.Q, numbers.D} {
		n, ok := new(big.Int).SetString(digits, 16)
		if !ok {
			return nil, fmt.Errorf("number %d is not hex", i)
		}
		ints[i] = n
	}
	return assembleRSA(ints[0], ints[1], ints[2])
}

// pem returns every key as a file.
func (k *keys) pem() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, key := range k.rsa {
		file, err := keyFile(key)
		if err != nil {
			return nil, err
		}
		files["keys/"+name+".pem"] = file
	}
	for name, key := range k.p256 {
		file, err := keyFile(key)
		if err != nil {
			return nil, err
		}
		files["keys/"+name+".pem"] = file
	}
	file, err := keyFile(k.leaf)
	files["keys/registry-leaf.pem"] = file
	return files, err
}

func keyFile(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	file := bytes.NewBufferString(keyNotice)
	err = pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return file.Bytes(), err
}

// public returns the public half of a key as it travels.
func (k *keys) public(name string) []byte {
	if key, ok := k.p256[name]; ok {
		return spki(&key.PublicKey)
	}
	return spki(&k.rsa[name].PublicKey)
}

// certAlgorithm is the AlgorithmIdentifier of what certSign makes.
func (k *keys) certAlgorithm(name string) []byte {
	if k.p256[name] != nil {
		return seq(ecdsaWithSHA256())
	}
	return seq(rsaWithSHA256(), null())
}

func rsaWithSHA256() []byte   { return oid(1, 2, 840, 113549, 1, 1, 11) }
func ecdsaWithSHA256() []byte { return oid(1, 2, 840, 10045, 4, 3, 2) }

// certSign signs as in a certificate.
func (k *keys) certSign(name string, tbs []byte) []byte {
	if key, ok := k.p256[name]; ok {
		return ecdsaSign(key, crypto.SHA256, tbs)
	}
	return pkcs1(k.rsa[name], crypto.SHA256, tbs)
}

// proof signs as in DigSig2 and CommsSig. The label stands for the salt of PSS.
func (k *keys) proof(name, label string, input []byte) []byte {
	if key, ok := k.p256[name]; ok {
		return ecdsaSign(key, crypto.SHA256, input)
	}
	return pss(k.rsa[name], sha256.New, random("pss salt "+label+name, 32), input)
}

// spki returns a public key as it travels. All keys here are of kinds that the
// encoder knows, so it cannot fail.
func spki(key any) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return der
}

func h(b []byte) string { return hex.EncodeToString(b) }
