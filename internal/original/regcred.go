package original

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
)

// RegCred returns the text of the server's regCred.dat, byte for byte in the form in
// which the originals write it: an empty line follows each key.
func (s *Server) RegCred() []byte {
	v := s.generation.version()
	lines := []string{
		"regCred {",
		"    Name: xlReg",
		"    ID: " + hex.EncodeToString(s.id),
		"    CommsPubKey: " + sshKey(&s.comms.PublicKey),
		"    SigPubKey: " + sshKey(&s.sig.PublicKey),
		"    EndPoints {",
		"         TcpEndPoint: " + s.Address(),
		"    }",
		fmt.Sprintf("    Version: %d.%d.%d", v[0], v[1], v[2]),
		"}",
		"",
	}
	return []byte(strings.Join(lines, "\r\n"))
}

// sshKey returns a key as a line of an authorized_keys file, with the end of that.
func sshKey(key *rsa.PublicKey) string {
	b := sshText(nil, []byte("ssh-rsa"))
	b = sshText(b, sshNumber(big.NewInt(int64(key.E))))
	b = sshText(b, sshNumber(key.N))
	return "ssh-rsa " + base64.StdEncoding.EncodeToString(b) + "\n"
}

func sshText(b, text []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

// sshNumber has a zero in front of a first bit that would be taken for a sign.
func sshNumber(n *big.Int) []byte {
	return n.FillBytes(make([]byte, n.BitLen()/8+1))
}
