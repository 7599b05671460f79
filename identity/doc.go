// Package identity is who a node is: its two RSA key pairs, what it signs with
// them and how others check that, the certificate it makes for itself, and the
// directory in which all of it is kept.
//
// Section numbers in comments are those of docs/protocol.md.
package identity
