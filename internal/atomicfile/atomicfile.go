// Package atomicfile replaces files so that a crash at any moment leaves the old
// content or the new, never a part of either.
package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write makes data the content of the file path, with the given permissions. When
// it returns nil the content is on disk. A file that is written to in part stands
// beside path under another name until it is whole; see RemoveLeftovers.
func Write(path string, data []byte, perm os.FileMode) error {
	dir, err := replace(path, data, perm, (*os.File).Sync)
	if err == nil {
		err = SyncDir(dir)
	}
	return about(path, err)
}

// about says that the file path cannot be written, and leaves out which other file that was
// tried with: its name would say nothing to anybody.
func about(path string, err error) error {
	if err == nil {
		return nil
	}
	if other := (*os.PathError)(nil); errors.As(err, &other) {
		err = other.Err
	}
	if renaming := (*os.LinkError)(nil); errors.As(err, &renaming) {
		err = renaming.Err
	}
	return &os.PathError{Op: "write", Path: path, Err: err}
}

// WriteUnsynced is Write for a file that is of no use after a power cut: it does not wait
// for the disk, so the file may be empty then. A file that there was is replaced as by
// Write; one that is new can be seen before it is whole.
func WriteUnsynced(path string, data []byte, perm os.FileMode) error {
	unsynced := func(*os.File) error { return nil }
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	switch {
	case err == nil:
		if err = fill(f, data, perm, unsynced); err != nil {
			os.Remove(path)
		}
	case errors.Is(err, os.ErrExist):
		_, err = replace(path, data, perm, unsynced)
	}
	return about(path, err)
}

// replace returns the directory that the file is in.
func replace(path string, data []byte, perm os.FileMode, sync func(*os.File) error) (dir string, err error) {
	dir, base := filepath.Split(filepath.Clean(path))
	dir = dirOf(dir)
	f, err := os.CreateTemp(dir, Pattern(base))
	if err != nil {
		return dir, err
	}
	err = fill(f, data, perm, sync)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return dir, err
}

// RemoveLeftovers removes what a crash in the middle of Write left beside path. No
// other process may be writing to path meanwhile.
func RemoveLeftovers(path string) error {
	dir, base := filepath.Split(filepath.Clean(path))
	entries, err := os.ReadDir(dirOf(dir))
	if err != nil {
		return fmt.Errorf("remove leftovers of %s: %w", path, err)
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(Pattern(base), e.Name()); !ok {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove leftovers of %s: %w", path, err)
		}
	}
	return nil
}

// Pattern is that of the names of files not yet whole, for os.CreateTemp; see
// RemoveLeftovers.
func Pattern(base string) string { return "." + base + ".*.tmp" }

func dirOf(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

func fill(f *os.File, data []byte, perm os.FileMode, sync func(*os.File) error) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = sync(f)
	}
	return errors.Join(err, f.Close())
}

// MkdirAll makes the directory path and those above it, as os.MkdirAll does. When it
// returns nil the new names are on disk, so that no power cut takes away a directory
// together with all that was synced into it.
func MkdirAll(path string, perm os.FileMode) error {
	return mkdirAll(path, perm, SyncDir)
}

func mkdirAll(path string, perm os.FileMode, sync func(dir string) error) error {
	missing, err := missingDirs(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, perm); err != nil {
		return err
	}
	for _, dir := range missing {
		if err := sync(filepath.Dir(dir)); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	return nil
}

// missingDirs returns those of path and the directories above it that do not exist,
// the innermost first.
func missingDirs(path string) ([]string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	var missing []string
	for {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return missing, nil // what else is wrong with it, making it will tell
		}
		missing = append(missing, path)
		path = filepath.Dir(path)
	}
}
