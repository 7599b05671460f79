package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// Report is what was found in a directory or an archive.
type Report struct {
	Name   xlreg.Name
	ID     xlreg.NodeID
	Sig    string // fingerprint of the sig key
	Bytes  int64  // of data; 0 if there are none
	Counts records.Counts
	Shared bool // the data are in a store that servers share, and nothing is known of them
}

// Check looks over the directory of a registry that is not running: its node, keys,
// permissions, credentials, and every page and record of its data. Nothing is
// changed. All faults are in the error, each with what to do about it.
func Check(dir string) (*Report, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	release, err := lock(dir)
	if errors.Is(err, ErrRunning) {
		return nil, fmt.Errorf("%s: %w: stop it, or make a backup, which is checked when it is made", dir, err)
	}
	if err != nil {
		return nil, err
	}
	report, err := check(dir)
	return report, errors.Join(err, release())
}

// check does not take the lock.
func check(dir string) (*Report, error) {
	node, err := load(dir)
	if err != nil {
		return nil, errors.Join(err, checkData(dir, nil, new(Report))) // what else there is to say
	}
	report := new(Report)
	return report, errors.Join(
		report.identify(node), checkRecord(dir, node), checkData(dir, node, report), checkCred(dir, node, report),
	)
}

// identify fills in who the registry is.
func (r *Report) identify(node *identity.Node) (err error) {
	r.Name = node.Name()
	if r.Sig, err = keys.Fingerprint(node.Keys().SigKey); err != nil {
		return err
	}
	own, _ := node.Registry(r.Sig) // none before the first start is done
	r.ID = own.ID
	return nil
}

func checkRecord(dir string, node *identity.Node) error {
	if node.Recovered() {
		return fmt.Errorf("%s is empty: the next start makes it anew from %s", filepath.Join(dir, recordFile), CredFile)
	}
	return nil
}

// checkData goes through the data, of which there may be none if node says so.
func checkData(dir string, node *identity.Node, report *Report) error {
	path := filepath.Join(dir, StoreFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && node != nil && InStore(node) {
		report.Shared = true
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) && (node == nil || !HadData(node)) {
		return nil
	}
	if err != nil {
		return Advise(path, err)
	}
	report.Bytes = info.Size()
	checker := records.NewChecker()
	err = bolt.Check(path, checker.Add)
	if err == nil {
		report.Counts, err = finish(path, checker)
	}
	return errors.Join(Private(path), adviseOnCheck(path, err))
}

func finish(path string, checker *records.Checker) (records.Counts, error) {
	counts, err := checker.Finish()
	if err != nil {
		err = fmt.Errorf("check %q: %w", path, err)
	}
	return counts, err
}

// adviseOnCheck takes a record that cannot be right for damage of the file.
func adviseOnCheck(path string, err error) error {
	if errors.Is(err, records.ErrDamaged) {
		return fmt.Errorf("%w: %s", err, restore)
	}
	return Advise(path, err)
}

func checkMode(path string, info fs.FileInfo) error {
	if perm := private.Perm(info); perm&0o022 != 0 {
		return fmt.Errorf("others may write to %s, its permissions are %#o: run chmod 600 %s", path, perm, path)
	}
	return nil
}

// checkCred holds regCred.dat against the node. It is made anew at the next start,
// but clients may have it by now.
func checkCred(dir string, node *identity.Node, report *Report) error {
	path := filepath.Join(dir, CredFile)
	cred, err := regcred.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	remedy := "remove it, and the next start makes it anew"
	if err != nil {
		return fmt.Errorf("%w: %s", err, remedy)
	}
	if err := matches(cred, node, report.ID); err != nil {
		return fmt.Errorf("%s: %w: %s", path, err, remedy)
	}
	return nil
}

func matches(cred *xlreg.Credentials, node *identity.Node, id xlreg.NodeID) error {
	own := node.Keys()
	switch {
	case cred.SigKey != own.SigKey || cred.CommsKey != own.CommsKey:
		return errors.New("it has other keys than the registry")
	case id != "" && cred.ID != id:
		return fmt.Errorf("it has another ID than %s", recordFile)
	case cred.Name != node.Name():
		return fmt.Errorf("it has another name than %s", recordFile)
	}
	return nil
}
