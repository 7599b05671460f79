//go:build !unix

package rundir

import "io/fs"

// fileID has nothing to tell files by here.
func fileID(fs.FileInfo) string { return "" }

// isMine knows no owners here.
func isMine(fs.FileInfo) bool { return false }

// lives does not know here, and no run is started here either.
func lives(int) bool { return false }
