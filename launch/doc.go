// Package launch is what a program is told that runs as a member of a cluster. The
// program need not know of a registry: it finds its peers in its arguments, in its
// environment and in files, and among the files what it needs for mutual TLS.
//
// Data is a cluster as one member sees it. A Spec has the arguments, variables and files of
// a program as templates; ParseSpec makes a Command of it, and Command.Expand says what they
// are for one member. Formats are what well-known programs want to be told.
//
// FileOptions.Write puts certificates, keys and the roster where a program can read them. The
// certificates are those that members sign for themselves, or an Authority issues them.
// Starting programs is left to the caller.
package launch
