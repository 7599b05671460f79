package main

import (
	"bytes"
	"crypto/sha256"
)

// choose returns the registry that a cluster belongs to: the one for which the hash of its
// fingerprint and the cluster's name is greatest. Nobody has to ask anybody for that, and
// a registry that is added takes clusters from all others alike, and moves no other.
func choose(fingerprints []string, cluster string) string {
	var chosen string
	var greatest []byte
	for _, f := range fingerprints {
		sum := sha256.Sum256([]byte(f + "\n" + cluster))
		if bytes.Compare(sum[:], greatest) > 0 {
			chosen, greatest = f, sum[:]
		}
	}
	return chosen
}
