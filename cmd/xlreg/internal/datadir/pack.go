package datadir

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/store/bolt"
)

// copyData copies the data of a registry as they are at one moment; nil if there are none.
type copyData func(ctx context.Context, to func(size int64) io.Writer) error

// Pack makes an archive of the registry in dir, whether it is running or not, and
// checks it. The file appears when it is whole, in place of an older one.
func Pack(ctx context.Context, dir, file string) (report *Report, err error) {
	node, err := load(dir)
	if err != nil {
		return nil, err
	}
	data, done, err := openData(dir, node)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	f, err := os.CreateTemp(filepath.Dir(file), atomicfile.Pattern(filepath.Base(file))) // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name()) // which is no more if all went well
	defer f.Close()
	if err := pack(ctx, f, dir, data); err != nil {
		return nil, fmt.Errorf("back up %s: %w", dir, err)
	}
	report = &Report{Shared: InStore(node)}
	if err := errors.Join(checkArchive(f, report), report.identify(node)); err != nil {
		return nil, fmt.Errorf("back up %s: %w", dir, err)
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return nil, err
	}
	return report, atomicfile.SyncDir(filepath.Dir(file))
}

// checkArchive looks at an archive as at one that somebody brings.
func checkArchive(f *os.File, report *Report) error {
	a, err := openArchive(f)
	if err != nil {
		return err
	}
	return errors.Join(a.identify(report), a.checkData(report))
}

// openData finds out how the data of a registry are copied: by the registry, or from
// its file if it is not running.
func openData(dir string, node *identity.Node) (data copyData, done func() error, err error) {
	if InStore(node) {
		return nil, func() error { return nil }, nil // the other files are replaced as a whole
	}
	release, err := lock(dir)
	if errors.Is(err, ErrRunning) {
		return fromRunning(dir), func() error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, StoreFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !HadData(node) {
		return nil, release, nil
	}
	st, err := bolt.Open(path, bolt.Options{MustExist: true})
	if err != nil {
		return nil, nil, errors.Join(Advise(path, err), release())
	}
	return st.Backup, func() error { return errors.Join(st.Close(), release()) }, nil
}

func fromRunning(dir string) copyData {
	return func(ctx context.Context, to func(int64) io.Writer) error {
		c, err := adminclient.New(adminclient.Options{Socket: filepath.Join(dir, SocketFile)})
		if err != nil {
			return err
		}
		defer c.Close()
		err = c.Backup(ctx, to)
		if errors.Is(err, adminclient.ErrNotServed) {
			return fmt.Errorf("%w, but %w: if it keeps data on disk, stop it and back it up then", ErrRunning, err)
		}
		return err
	}
}

// pack writes an archive.
func pack(ctx context.Context, f *os.File, dir string, data copyData) error {
	p := &packer{tar: tar.NewWriter(f), now: time.Now(), manifest: manifest{Version: manifestVersion}}
	for i, name := range smallFiles {
		content, err := readSmall(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) && i >= neededFiles {
			continue
		}
		if err != nil {
			return err
		}
		if err := p.addFile(name, content); err != nil {
			return err
		}
	}
	if data != nil {
		if err := p.addData(ctx, data); err != nil {
			return err
		}
	}
	if err := p.finish(); err != nil {
		return err
	}
	return f.Sync()
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(content) > maxSmall {
		err = fmt.Errorf("%s has more than %d bytes", path, maxSmall)
	}
	return content, err
}

// packer writes the parts of an archive.
type packer struct {
	tar      *tar.Writer
	now      time.Time
	manifest manifest
}

// begin writes the header of a part, and returns where the part goes.
func (p *packer) begin(name string, size int64, sum hash.Hash) (io.Writer, error) {
	err := p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: p.now})
	return io.MultiWriter(p.tar, sum), err
}

func (p *packer) addFile(name string, content []byte) error {
	sum := sha256.New()
	w, err := p.begin(name, int64(len(content)), sum)
	if err == nil {
		_, err = io.Copy(w, bytes.NewReader(content))
	}
	if err != nil {
		return err
	}
	p.manifest.add(name, int64(len(content)), sum)
	return nil
}

func (p *packer) addData(ctx context.Context, data copyData) error {
	sum := sha256.New()
	var size int64
	var headErr error
	err := data(ctx, func(n int64) io.Writer {
		var w io.Writer
		size = n
		w, headErr = p.begin(StoreFile, n, sum)
		return w
	})
	if err := errors.Join(headErr, err); err != nil {
		return err
	}
	p.manifest.add(StoreFile, size, sum)
	return nil
}

func (p *packer) finish() error {
	p.manifest.Made = p.now.UTC().Format(time.RFC3339)
	content, err := json.MarshalIndent(p.manifest, "", "  ")
	if err != nil {
		return err
	}
	w, err := p.begin(manifestFile, int64(len(content)), sha256.New())
	if err == nil {
		_, err = w.Write(content)
	}
	return errors.Join(err, p.tar.Close())
}
