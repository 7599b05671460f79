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
// # Keys
//
// Members have keys on P-256, which cost nothing to make, unless WithKeys or a classic
// protocol asks for RSA. The registry's own keys are always RSA: the first one of a
// process takes a fraction of a second for them, and later ones reuse what earlier ones
// had. All keys live in memory, and end with the process.
package xlregtest
