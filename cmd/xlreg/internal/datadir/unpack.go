package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/internal/private"
)

const dirPerm = 0o700

// CheckArchive looks over an archive as Check does a directory.
func CheckArchive(file string) (*Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	report := new(Report)
	if err := checkArchive(f, report); err != nil {
		return nil, err
	}
	return report, nil
}

// Unpack puts a registry back from an archive, into a directory that is empty or not
// there. The archive is checked before anything is written, and the directory after.
func Unpack(file, dir string) (*Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a, err := openArchive(f)
	if err != nil {
		return nil, err
	}
	if err := a.checkData(new(Report)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := makeEmpty(dir); err != nil {
		return nil, err
	}
	report, err := a.unpack(dir)
	if err != nil {
		return nil, fmt.Errorf("restore into %s: %w", dir, err)
	}
	return report, nil
}

// makeEmpty makes a directory, or takes an empty one.
func makeEmpty(dir string) error {
	if err := atomicfile.MkdirAll(dir, dirPerm); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != lockFile { // which an earlier try may have left
			return fmt.Errorf("%s is not empty, it has %s: name a directory that is, or that is not there", dir, e.Name())
		}
	}
	if err := os.Chmod(dir, dirPerm); err != nil {
		return err
	}
	return private.Dir(dir)
}

// unpack writes all files, node.json last: where it is, all that is needed is. What it
// has written goes again if something is wrong.
func (a *archive) unpack(dir string) (report *Report, err error) {
	held, err := filelock.Lock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	err = a.writeAll(dir)
	if err == nil {
		report, err = check(dir)
	}
	if err != nil {
		return nil, errors.Join(err, a.removeAll(dir))
	}
	return report, nil
}

func (a *archive) writeAll(dir string) error {
	if part := a.parts[StoreFile]; part != nil {
		if err := writeLarge(filepath.Join(dir, StoreFile), part); err != nil {
			return err
		}
	}
	for i := len(smallFiles) - 1; i >= 0; i-- { // node.json is the first of them
		part := a.parts[smallFiles[i]]
		if part == nil {
			continue
		}
		content, err := io.ReadAll(io.NewSectionReader(part, 0, part.Size()))
		if err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(dir, smallFiles[i]), content, permOf(smallFiles[i])); err != nil {
			return err
		}
	}
	return nil
}

// permOf returns the permissions of a file: credentials are for everyone.
func permOf(name string) fs.FileMode {
	if name == CredFile {
		return 0o644
	}
	return 0o600
}

func writeLarge(path string, part *io.SectionReader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(part, 0, part.Size()))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (a *archive) removeAll(dir string) error {
	var errs []error
	for name := range a.parts {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
