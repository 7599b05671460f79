// Package launch decides what a program that runs as a member of a cluster is told. The
// program need not know of a registry: it finds its peers in its arguments, its environment
// or files, and in files also what it needs for mutual TLS.
//
// Data is a cluster as one member sees it. A Spec has the arguments, variables and files of
// a program as templates; ParseSpec makes a Command of it, and Command.Expand fills them in
// for one member. A Format is what a well-known program wants to be told.
//
// FileOptions.Write puts certificates, keys and the roster where a program can read them. The
// certificates are those that members sign for themselves, or an Authority issues them.
// Starting programs is left to the caller.
package launch
