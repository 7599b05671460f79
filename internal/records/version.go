//go:build !xlreg_next

package records

// NewestVersion is the newest version of records that this program reads, and the one
// that it writes unless servers of the version before are there, too.
const NewestVersion = 2
