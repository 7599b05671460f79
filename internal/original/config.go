package original

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
)

// Config is what an original program kept of itself in its .xlattice directory.
type Config struct {
	Name       string
	ID         []byte
	Comms, Sig *rsa.PrivateKey
	Endpoints  []string
	Peers      []Config // nodes that it knows; only their public halves are written
}

// Node returns the content of a node's file, node.config.
func (c *Config) Node() string { return strings.Join(c.node(), "\n") }

// Registry returns the content of a registry's file, reg.config: the node that it is, and
// its private keys once more.
func (c *Config) Registry() string {
	lines := append([]string{"regNode {"}, indented(c.node())...)
	lines = append(lines, "    ckPriv: "+privatePEM(c.Comms), "    skPriv: "+privatePEM(c.Sig), "}")
	return strings.Join(lines, "\n")
}

// Member returns the content of a member's file, cluster.member.config: the node that it
// is, and its cluster, of which its peers are the other members.
func (c *Config) Member(cluster string, id []byte) string {
	lines := append([]string{"clusterMember {"}, indented(c.node())...)
	lines = append(lines, "    attrs: 0", "    clusterName: "+cluster, "    clusterAttrs: 0", "    clusterID: "+hex.EncodeToString(id),
		fmt.Sprintf("    clusterSize: %d", len(c.Peers)+1), "    selfIndex: 0", "    members {")
	for i := range c.Peers {
		lines = append(lines, "        memberInfo {")
		lines = append(lines, indented(indented(indented(c.Peers[i].base())))...)
		lines = append(lines, "            attrs: 0", "            endPoints {")
		for _, e := range c.Peers[i].Endpoints {
			lines = append(lines, "                "+e)
		}
		lines = append(lines, "            }", "        }")
	}
	return strings.Join(append(lines, "    }", "    epCount: 1", "}"), "\n")
}

func (c *Config) node() []string {
	lines := append([]string{"node {"}, indented(c.base())...)
	lines = append(lines, "    lfs: /var/app/"+c.Name, "    ckPriv: "+privatePEM(c.Comms), "    skPriv: "+privatePEM(c.Sig), "    endPoints {")
	for _, e := range c.Endpoints {
		lines = append(lines, "        TcpEndPoint: "+e)
	}
	lines = append(lines, "    }", "    peers {")
	for i := range c.Peers {
		p := &c.Peers[i]
		lines = append(lines, "        peer {")
		lines = append(lines, indented(indented(indented(p.base())))...)
		lines = append(lines, "            connectors {", "                TcpConnector: "+strings.Join(p.Endpoints, " "), "            }", "        }")
	}
	return append(lines, "    }", "}")
}

// base is what nodes and peers have in common.
func (c *Config) base() []string {
	return []string{
		"name: " + c.Name, "nodeID: " + hex.EncodeToString(c.ID),
		"commsPubKey: " + publicPEM(&c.Comms.PublicKey), "sigPubKey: " + publicPEM(&c.Sig.PublicKey),
		"overlays {", "}",
	}
}

// indented moves entries to the right. Only the first line of a key moves.
func indented(entries []string) []string {
	moved := make([]string, len(entries))
	for i, e := range entries {
		moved[i] = "    " + e
	}
	return moved
}

// privatePEM has no label, as the originals write none.
func privatePEM(key *rsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func publicPEM(key *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err) // an RSA key is always one
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
