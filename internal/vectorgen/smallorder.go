package vectorgen

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
)

// smallOrderKeys returns the points of Ed25519 that times 8 are none, in all encodings
// that there are of them: by the sign of x, and 0 and 1 as themselves and with the prime
// added.
func smallOrderKeys() (keys [][]byte) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		key, err := hex.DecodeString(y)
		if err != nil {
			panic(err)
		}
		other := slices.Clone(key)
		other[31] |= 0x80
		keys = append(keys, key, other)
	}
	return keys
}

// forge returns a signature of input that RFC 8032 takes for one by a key of small order,
// made without any private key: S is 0 and R another such point. nil: there is none.
func forge(key, input []byte) []byte {
	for _, r := range smallOrderKeys() {
		signature := append(slices.Clone(r), make([]byte, 32)...)
		if ed25519.Verify(key, input, signature) {
			return signature
		}
	}
	return nil
}

// forgeries are signed by nobody: the keys are such that anybody can.
func (m *maker) forgeries() {
	for i, key := range smallOrderKeys() {
		name := fmt.Sprintf("small-order-%d", i)
		m.forgedCreation(name, key)
		m.forgedLeave(name, key)
	}
}

func (m *maker) forgedCreation(name string, key []byte) {
	c := goodCreation()
	c.key = key
	signature := forge(key, c.input())
	for ; signature == nil; signature = forge(key, c.input()) {
		c.size++
	}
	m.owned(ownerCase{"create-" + name, auth, "by a cluster key of small order, by which anybody signs", fields{
		"kind": "create", "seed": h(ownerKey().seed), "cluster_name": c.name, "cluster_key": h(c.key),
		"max_size": c.size, "endpoint_count": c.ends, "cluster_attrs": "0",
	}, nil, signature, badSignature()})
}

func (m *maker) forgedLeave(name string, key []byte) {
	l := goodLeave()
	l.sig, l.admit = m.public("p256-sig"), key
	var signature []byte
	for i := 0; signature == nil; i++ {
		l.name = fmt.Sprintf("%s-%d", keyedName, i)
		signature = forge(key, l.input())
	}
	m.owned(ownerCase{"admit-" + name, auth, "by an invite key of small order, by which anybody signs", fields{
		"kind": "admit", "seed": h(inviteKey().seed), "cluster_name": l.name, "cluster_key": h(l.key),
		"sig_key": h(l.sig), "invite_key": h(l.admit),
	}, nil, signature, refusedAdmission()})
}
