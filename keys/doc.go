// Package keys holds the kinds of key that nodes and registries have, and
// everything that is done with them: reading and writing them, their
// fingerprints, what is signed and how, and the certificates that members sign
// for themselves. Keys on disk are for package identity.
//
// RSA is the only kind. Another takes a file like rsa.go and a row in the table
// of kinds: outside this package only those who generate keys name a kind.
//
// Section numbers in comments are those of docs/protocol.md.
package keys
