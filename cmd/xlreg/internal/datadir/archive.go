package datadir

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// The archive is a tar file: the files of the directory, each under its own name, and
// at the end a manifest, without which the archive is not whole.
const (
	manifestFile    = "manifest.json"
	manifestVersion = 1
	maxSmall        = 1 << 20 // bytes of every file but the data
)

// ErrArchive says that a file is no backup, or not a whole one.
var ErrArchive = errors.New("not a whole backup of a registry")

// smallFiles are those that are read whole, in the order in which they are packed.
// The first three have to be there.
var smallFiles = []string{recordFile, "comms.pem", "sig.pem", "cert.pem", CredFile, "former-comms.pem", "cross.pem"}

const neededFiles = 3

// manifest says what was packed.
type manifest struct {
	Version int      `json:"version"`
	Made    string   `json:"made"`
	Files   []packed `json:"files"`
}

type packed struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (m *manifest) add(name string, size int64, sum hash.Hash) {
	m.Files = append(m.Files, packed{name, size, hex.EncodeToString(sum.Sum(nil))})
}

// archive is one that can be read at any place.
type archive struct {
	parts    map[string]*io.SectionReader
	manifest manifest
}

// openArchive reads what is in a file and holds all of it against the manifest.
func openArchive(f *os.File) (*archive, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a := &archive{parts: make(map[string]*io.SectionReader)}
	err = a.index(f, info.Size())
	if err == nil {
		err = a.verify()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return a, nil
}

// index finds where each part lies, and reads the manifest.
func (a *archive) index(r io.ReaderAt, size int64) error {
	file := io.NewSectionReader(r, 0, size)
	for entries := tar.NewReader(file); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it ends before its %s", ErrArchive, manifestFile)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		at, err := file.Seek(0, io.SeekCurrent) // tar reads no further than it has to
		if err != nil {
			return err
		}
		part := io.NewSectionReader(r, at, header.Size)
		if header.Name == manifestFile {
			return a.readManifest(part)
		}
		if err := a.addPart(header, part); err != nil {
			return err
		}
	}
}

func (a *archive) addPart(header *tar.Header, part *io.SectionReader) error {
	name := header.Name
	known := name == StoreFile || slices.Contains(smallFiles, name) && header.Size <= maxSmall
	if !known || a.parts[name] != nil || header.Typeflag != tar.TypeReg {
		return fmt.Errorf("%w: it has a part %.80q of %d bytes", ErrArchive, name, header.Size)
	}
	a.parts[name] = part
	return nil
}

func (a *archive) readManifest(part *io.SectionReader) error {
	if part.Size() > maxSmall {
		return fmt.Errorf("%w: its %s has %d bytes", ErrArchive, manifestFile, part.Size())
	}
	if err := json.NewDecoder(part).Decode(&a.manifest); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrArchive, manifestFile, err)
	}
	if v := a.manifest.Version; v != manifestVersion {
		return fmt.Errorf("%w: it has version %d, this program reads %d", ErrArchive, v, manifestVersion)
	}
	return nil
}

// verify reads every byte of every part.
func (a *archive) verify() error {
	for _, name := range smallFiles[:neededFiles] {
		if a.parts[name] == nil {
			return fmt.Errorf("%w: it has no %s", ErrArchive, name)
		}
	}
	if len(a.manifest.Files) != len(a.parts) {
		return fmt.Errorf("%w: it has %d parts and should have %d", ErrArchive, len(a.parts), len(a.manifest.Files))
	}
	for _, want := range a.manifest.Files {
		part := a.parts[want.Name]
		if part == nil {
			return fmt.Errorf("%w: it has no %.80s", ErrArchive, want.Name)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(part, 0, part.Size())); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrArchive, want.Name, err)
		}
		if part.Size() != want.Size || hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
			return fmt.Errorf("%w: %s is not what was packed", ErrArchive, want.Name)
		}
	}
	return nil
}

// identify fills in whose backup it is, if regCred.dat was there to say so.
func (a *archive) identify(report *Report) error {
	part := a.parts[CredFile]
	if part == nil {
		return nil
	}
	content, err := io.ReadAll(io.NewSectionReader(part, 0, part.Size()))
	if err != nil {
		return err
	}
	cred, err := regcred.Parse(content)
	if err == nil {
		report.Sig, err = keys.Fingerprint(cred.SigKey)
	}
	if err != nil {
		return fmt.Errorf("%s in it: %w", CredFile, err)
	}
	report.Name, report.ID = cred.Name, cred.ID
	return nil
}

// checkData goes through every page and record of the data, if there are any.
func (a *archive) checkData(report *Report) error {
	part := a.parts[StoreFile]
	if part == nil {
		return nil
	}
	report.Bytes = part.Size()
	checker := records.NewChecker()
	err := bolt.CheckReader(part, part.Size(), checker.Add)
	if err == nil {
		report.Counts, err = checker.Finish()
	}
	if err != nil {
		return fmt.Errorf("the data in it: %w", err)
	}
	return nil
}
