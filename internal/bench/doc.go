// Package bench holds the benchmarks that need a client and a server at once:
// the two figures that the registry is held to. It has no code of its own.
//
//	go test -run '^$' -bench . ./internal/bench
package bench
