// Package interop holds the tests in which clients in Go, Python and Ruby meet:
// each in each generation of the protocol as creator, member and reader, and a
// mixed cluster whose members talk to each other. It has no code of its own.
//
// The tests need what make setup installs: Ruby with its protobuf, and a virtual
// environment with the Python client in clients/python/.venv.
package interop
