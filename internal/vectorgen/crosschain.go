package vectorgen

import (
	"crypto/rsa"
	"time"
)

// crossCert is the certificate by which the old sig key names the next one.
func crossCert(old, next *rsa.PrivateKey) *cert {
	parent := rootCert(old).Certificate
	parent.PublicKey = old.Public()
	c := rootCert(next)
	c.parent, c.signer = &parent, old
	c.NotAfter = c.NotBefore.Add(180 * day)
	return c
}

// crossed is what a server shows whose key has changed.
func (m *maker) crossed() chain {
	old, next := m.rsa["registry-sig"], m.rsa["registry-next"]
	return chain{
		leaf: m.der(m.leafCert(next)), root: m.der(rootCert(next)),
		more: [][]byte{m.der(crossCert(old, next)), m.der(rootCert(old))}, known: "registry-sig", next: true,
	}
}

func (m *maker) crossChains() {
	oldPrint, newPrint := fingerprint(m.ssh("registry-sig")), fingerprint(m.ssh("registry-next"))
	ok := func(name, about string, change func(*chain)) {
		c := m.crossed()
		change(&c)
		m.chain("cross-"+name, success, about, c)
	}
	known := func(name string) func(*chain) {
		return func(c *chain) { c.known, c.next, c.sigKey = name, false, m.public(name) }
	}
	ok("old-key", "the client knows the old key: the cross certificate leads to the next", func(c *chain) { c.sigKey = m.public("registry-sig") })
	ok("old-fingerprint", "the client knows the fingerprint of the old key, which is in the last certificate", func(c *chain) { c.fingerprint = oldPrint })
	ok("new-key", "the client knows the next key already", known("registry-next"))
	ok("new-fingerprint", "the client knows the fingerprint of the next key", func(c *chain) {
		c.known, c.next, c.fingerprint = "registry-next", false, newPrint
	})
	ok("new-key-over", "who knows the next key does not look at the cross certificate", func(c *chain) {
		known("registry-next")(c)
		c.more[0] = m.crossDates(-30*day, -day)
	})
	ok("not-yet", "the leaf is still of the old key, and the next one is announced", func(c *chain) {
		known("registry-sig")(c)
		c.leaf = m.der(m.leafCert(m.rsa["registry-sig"]))
	})
	ok("no-old-root", "who knows the old key needs no root of it", func(c *chain) {
		c.sigKey = m.public("registry-sig")
		c.more = c.more[:1]
	})
}

func (m *maker) crossDates(from, to time.Duration) []byte {
	c := crossCert(m.rsa["registry-sig"], m.rsa["registry-next"])
	c.NotBefore, c.NotAfter = now.Add(from), now.Add(to)
	return m.der(c)
}

func (m *maker) badCrossChains() {
	old, next, other := m.rsa["registry-sig"], m.rsa["registry-next"], m.rsa["other-sig"]
	for kind, know := range map[string]func(*chain){
		"key":         func(c *chain) { c.sigKey = m.public("registry-sig") },
		"fingerprint": func(c *chain) { c.fingerprint = fingerprint(m.ssh("registry-sig")) },
	} {
		bad := func(name, about string, change func(*chain)) {
			c := m.crossed()
			know(&c)
			change(&c)
			m.chain("cross-"+name+"-"+kind, handshake, about, c)
		}
		cross := func(name, about string, change func(*cert)) {
			x := crossCert(old, next)
			change(x)
			bad(name, about, func(c *chain) { c.more[0] = m.der(x) })
		}
		cross("not-ca", "the cross certificate is no CA", func(c *cert) { c.IsCA = false })
		cross("no-constraints", "the cross certificate does not say whether it is a CA", func(c *cert) { c.BasicConstraintsValid = false })
		cross("self-signed", "the next key says that it is the next", func(c *cert) {
			*c = *crossCert(next, next)
		})
		bad("expired", "the cross certificate is over for more than an hour", func(c *chain) { c.more[0] = m.crossDates(-180*day, -61*time.Minute) })
		bad("not-yet-valid", "the cross certificate is to begin in more than an hour", func(c *chain) { c.more[0] = m.crossDates(61*time.Minute, 180*day) })
		bad("other-signer", "the cross certificate is signed by another key", func(c *chain) { c.more[0] = m.der(crossCert(other, next)) })
		bad("flipped", "one bit of the cross certificate's signature changed", func(c *chain) { c.more[0] = flip(c.more[0]) })
		bad("other-leaf", "the leaf is signed by a key that nobody names", func(c *chain) { c.leaf = m.der(m.leafCert(other)) })
		bad("none", "the cross certificate is missing", func(c *chain) { c.more = c.more[1:] })
		bad("two-steps", "a second cross certificate leads on from the first", func(c *chain) {
			c.leaf, c.root = m.der(m.leafCert(other)), m.der(rootCert(other))
			c.more = [][]byte{m.der(crossCert(next, other)), m.der(crossCert(old, next)), m.der(rootCert(old))}
		})
		bad("small", "the next key has 1024 bits", func(c *chain) {
			small := m.rsa["small-sig"]
			c.leaf, c.root, c.more[0] = m.der(m.leafCert(small)), m.der(rootCert(small)), m.der(crossCert(old, small))
		})
		bad("leaf-expired", "the leaf is over for more than an hour", func(c *chain) {
			x := m.leafCert(next)
			x.NotBefore, x.NotAfter = now.Add(-7*day), now.Add(-61*time.Minute)
			c.leaf = m.der(x)
		})
	}
	c := m.crossed()
	c.fingerprint, c.more = fingerprint(m.ssh("registry-sig")), c.more[:1]
	m.chain("cross-no-old-root-fingerprint", handshake, "nothing in the chain has the fingerprint", c)
	c = m.crossed()
	c.fingerprint = fingerprint(m.ssh("other-sig"))
	m.chain("cross-other-fingerprint", handshake, "the fingerprint of another registry", c)
	c = m.crossed()
	c.sigKey = m.public("other-sig")
	m.chain("cross-other-key", handshake, "the key of another registry", c)
}
