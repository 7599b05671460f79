// Package keys holds the kinds of key that nodes, registries and clusters have, and
// everything that is done with them: reading and writing them, their fingerprints, what
// is signed and how, the certificates that members sign for themselves, and the sums of
// rosters. Keys on disk are for package identity.
//
// Nodes have keys of two kinds, RSA and P-256, and registries RSA alone. Another kind takes
// a file like p256.go and a row in the table of kinds: outside this package only those who
// generate keys name a kind. Clusters and invites have Ed25519 keys.
//
// Section numbers in comments are those of docs/protocol.md.
package keys
