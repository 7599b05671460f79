// Package rundir is the directory of a run: what is kept there from one start to the
// next, who uses it now, and how others talk to the run that does. It starts nothing.
package rundir
