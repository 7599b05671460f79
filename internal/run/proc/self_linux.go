package proc

import "os"

// ownFile is this process's executable, whatever has become of its path.
const ownFile = "/proc/self/exe"

// Self returns how to start this program again: by path, which is where it was started from,
// unless there is another file now, or none. A run that goes on while xlreg is upgraded must
// not talk with shims of another version.
func Self(path string) string {
	own, err := os.Stat(ownFile)
	if err != nil {
		return path
	}
	if now, err := os.Stat(path); err == nil && os.SameFile(own, now) {
		return path
	}
	return ownFile
}
