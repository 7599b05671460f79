// Package torture kills, starves and floods a real registry while clients over all
// carriers use it, and then compares what the registry knows with all it ever
// answered. It has no code that anyone could import.
//
// The short form is part of go test; XLREG_LONG=1 makes it take minutes, and
// XLREG_SEED=n has the clients choose as they did in a run that printed n.
package torture
