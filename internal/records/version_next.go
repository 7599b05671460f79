//go:build xlreg_next

package records

// NewestVersion is one ahead in a program that tests build: as the next release, it
// reads what this one writes, and proves that servers of both can share a store.
const NewestVersion = 3
