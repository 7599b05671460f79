// Package bench measures a registry and its clients together: formation, sessions,
// rosters and connections, and what they cost on either side. The program's bench
// is made of it, and so are the benchmarks here, which print the figures that the
// registry is held to, each as a ratio of two times from the same run:
//
//	go test -run '^$' -bench . ./internal/bench
//
// Figures are good only in comparison. So what is compared is measured in turns,
// the registry is a process of its own where its processor time or memory counts,
// keys and signatures are made before, and of several runs the median counts.
package bench
