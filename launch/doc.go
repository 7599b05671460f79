// Package launch starts programs as members of a cluster. The programs need to
// know nothing of a registry: they find who their peers are in their arguments,
// their environment and files, and among the files what they need for mutual TLS.
//
// What a program is told is pure: Data is a cluster as one member sees it, Command
// expands a program's arguments over it, and Formats are what well-known programs
// want to be told, each in a file of its own. WriteFiles puts certificates, keys
// and the roster where a program can read them.
//
// Run starts the programs and looks after them. Each runs under a shim, a process
// that is this same program called in another way, so that nothing is left behind
// whatever ends first. Programs run on Unix only; what is pure works everywhere.
package launch
