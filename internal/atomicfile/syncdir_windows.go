package atomicfile

// SyncDir does nothing: Windows has no such order for a directory, and its file system
// keeps a journal of names.
func SyncDir(string) error { return nil }
