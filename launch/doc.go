// Package launch is what a program is told that runs as a member of a cluster. The
// program need not know of a registry: it finds its peers in its arguments, in its
// environment and in files, and among the files what it needs for mutual TLS.
//
// Data is a cluster as one member sees it, Command expands a program's arguments over
// it, and Formats are what well-known programs want to be told, each in a file of its
// own. WriteFiles puts certificates, keys and the roster where a program can read
// them. Starting programs is left to the caller.
package launch
