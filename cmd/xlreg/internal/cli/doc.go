// Package cli is what the program's subcommands have in common: the flags that all of
// them take, where they read and write, and how they say that they were called wrongly.
package cli
