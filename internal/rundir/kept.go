package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/xlattice/xlreg/internal/private"
)

// keptVersion is that of run.json.
const keptVersion = 1

// maxFile bounds what is read of a file: 65,535 members with all their addresses are less.
const maxFile = 64 << 20

// ErrDamaged says that a file in the directory of a run does not hold what it should.
var ErrDamaged = errors.New("damaged")

// keptFile is what run.json looks like.
type keptFile struct {
	Version int `json:"version"`
	Kept
}

// KeptPath returns the path of run.json.
func (d *Dir) KeptPath() string { return d.in(keptName) }

// Kept returns what an earlier run in this directory has left, or nil if there was none.
func (d *Dir) Kept() (*Kept, error) { return readKept(d.KeptPath()) }

// Save puts k in run.json, for the next start.
func (d *Dir) Save(k Kept) error { return d.write(d.KeptPath(), keptFile{keptVersion, k}) }

// KeptIn returns what is kept in a directory, whoever has it now, or nil if there is nothing.
func KeptIn(dir string) (*Kept, error) {
	if err := private.Dir(dir); err != nil {
		return nil, err
	}
	return readKept(pathIn(dir, keptName))
}

func readKept(path string) (*Kept, error) {
	var first struct{ Version int } // whatever else a newer version has
	err := readJSON(path, &first)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is kept, and nothing is wrong
	}
	if err == nil && first.Version > keptVersion {
		return nil, fmt.Errorf("%s: a newer xlreg wrote it: use that one, or remove the file to take new ports and a new cluster name", path)
	}
	var f keptFile
	if err == nil {
		err = readJSON(path, &f)
	}
	if err == nil {
		err = f.check()
	}
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: put it back from a copy, or remove it to take new ports and a new cluster name", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &f.Kept, nil
}

func (f *keptFile) check() error {
	switch {
	case f.Version < 1:
		return fmt.Errorf("%w (it has no version)", ErrDamaged)
	case f.Cluster == "":
		return fmt.Errorf("%w (it names no cluster)", ErrDamaged)
	}
	for name, addrs := range f.Members {
		if name == "" {
			return fmt.Errorf("%w (a member has no name)", ErrDamaged)
		}
		for _, addr := range addrs {
			if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
				return fmt.Errorf("%w (%q of %s is no address)", ErrDamaged, addr, name)
			}
		}
	}
	return nil
}

// PortTaken is the error of a kept port that another program has now, which by describes.
func (d *Dir) PortTaken(member, addr, by string) error {
	port := addr
	if _, p, err := net.SplitHostPort(addr); err == nil {
		port = p
	}
	return fmt.Errorf("port %s of %s is taken by %s: stop it, or remove %s to take new ports", port, member, by, d.KeptPath())
}

// readJSON reads a file of ours. What cannot be read as one is ErrDamaged.
func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("%w (it has more than %d bytes)", ErrDamaged, maxFile)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return nil
}
