// Package xlregtest gives tests a cluster registry, and whole clusters.
//
//	members := xlregtest.Cluster(t, 5)
//
// is five members of a cluster that is complete: each has keys, a listener that is
// open, a roster in which it has verified the other four, and a configuration for
// mutual TLS with them. They have gone the way of real members, over TCP, to a real
// registry inside the test process. It and everything else ends with the test, and
// any number of tests may run in parallel.
//
// For a program that is to be tested as a member there is Start, which runs the
// registry alone; its URL is what the program needs to find it.
//
// # Test keys
//
// RSA keys are slow to make, so they are made once, on all processors, and kept in
// the user's cache directory (on Linux ~/.cache/xlreg/test-keys). The first cluster
// of 64 takes some seconds for that, and every later one, of any test, a fraction
// of one. No two nodes that live in a process at the same time have the same keys.
// Where no cache can be written the keys live as long as the process, and the test's
// log says so. Whoever runs as the same user can read them, so they are good for
// tests and for nothing else.
package xlregtest
