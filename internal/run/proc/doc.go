// Package proc finds the processes of a run by a mark in their environment, and ends those
// whose shim is gone. Shims are made of it: it needs little, so that they start fast.
package proc
