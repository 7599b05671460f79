package xlreg

import "time"

// Sizes that the protocol fixes. Each length that comes from a peer is held
// against one of these before anything is allocated for it.
const (
	MaxNameLen     = 128 // characters of a name
	MaxEndpointLen = 261 // bytes of one endpoint
	MaxEndpoints   = 16  // endpoints of one token

	MinClusterSize        = 2    // members; smaller requests are raised to it
	MaxClusterSize        = 1024 // members; larger requests over 2.0 are lowered to it
	MaxClassicClusterSize = 64   // members of a cluster that classic peers can see or make

	ClusterKeyLen = 32 // bytes of a cluster's public key, and of an invite's
	KeySumLen     = 32 // bytes of a KeySum
	MaxRunLen     = 32 // bytes of a Run
	MaxInviteUses = 1000

	MaxTokenLen       = 12 << 10 // bytes of an encoded token without its Certificate
	MaxCertificateLen = 4 << 10  // bytes of a certificate in DER

	MaxLabels   = 32   // labels of one token
	MaxLabelLen = 2048 // bytes of all keys and values of them

	MinKeyBits       = 1024 // RSA modulus accepted over a classic carrier
	MinKeyBitsModern = 2048 // RSA modulus accepted over 2.0, and ever generated
	MaxKeyBits       = 8192 // RSA modulus accepted at all
	MinKeyExponent   = 3
	MaxKeyExponent   = 1<<31 - 1

	// Over 2.0 less is accepted, because to verify a signature of the largest key
	// with the largest exponent takes a hundred times as long as of a usual one.
	MaxKeyBitsModern     = 4096
	MaxKeyExponentModern = 1<<16 + 1

	MaxClassicMessage = 16384    // bytes of ciphertext, IV included, of one classic message
	MaxRequestFrame   = 64 << 10 // bytes of one 2.0 message from a client
	MaxReplyFrame     = 4 << 20  // bytes of one 2.0 message from a server
)

// Defaults of what an operator may set.
const (
	DefaultPort           = 56789
	DefaultHelloTimeout   = 10 * time.Second  // for a Hello; the rest of a TLS handshake has three times as long
	CrowdedHelloTimeout   = 3 * time.Second   // the same while most connections have not said hello
	DefaultMessageTimeout = 10 * time.Second  // without a byte of a message that has begun
	DefaultIdleTimeout    = 120 * time.Second // between messages; a wait is not idle
	DefaultWriteTimeout   = 10 * time.Second  // without a byte taken of a message that is sent
	DefaultMaxWait        = 10 * time.Minute  // for one waiting GetCluster
)
