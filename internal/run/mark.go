package run

import "crypto/rand"

// NewMark returns a mark for what one process starts.
func NewMark() string { return rand.Text() }
