// Package xlreg is the vocabulary of a cluster registry: identifiers, names,
// endpoints, tokens, clusters, limits and the closed set of errors that all
// other packages, and the wire, speak in.
//
// The package is pure. It opens no file and no socket, takes no lock and knows
// no encoding but the text form of its own nouns.
package xlreg
