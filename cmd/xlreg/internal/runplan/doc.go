// Package runplan decides what 'xlreg run' does: what each member is told, on which ports,
// what comes first and what comes last. It combines a recipe with the flags, which win over
// it, and finds what is wrong with either before anything is started.
//
// It starts nothing and opens nothing.
package runplan
