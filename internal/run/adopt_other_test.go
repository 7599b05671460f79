//go:build !linux

package run

// canAdopt says that what a program has started is found wherever it went.
const canAdopt = false
