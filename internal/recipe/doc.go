// Package recipe has what is known of the systems that people run as clusters: which
// ports one of them needs, what it is told, how one sees that it is ready. A recipe is a
// file, and this package reads it: it starts nothing, and knows no cluster.
package recipe
