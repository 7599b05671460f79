// Package identity is who a node is: its name, its keys and certificate, what it
// knows of the registries it has been to, and the directory in which all of it is
// kept. What is done with keys is package keys.
package identity
