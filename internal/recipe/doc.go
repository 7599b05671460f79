// Package recipe knows the systems that people run as clusters: which ports a member needs,
// what its program is told, how to tell that it is ready. A recipe is a file, and this
// package reads it: it starts nothing, and knows no cluster.
package recipe
