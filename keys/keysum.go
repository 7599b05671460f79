package keys

import (
	"crypto/sha256"

	"github.com/xlattice/xlreg"
)

// KeySum returns what stands for a sig key where the key itself would be too long.
func KeySum(key xlreg.SigKey) xlreg.KeySum {
	sum := sha256.Sum256([]byte(key))
	return xlreg.KeySum(sum[:])
}
