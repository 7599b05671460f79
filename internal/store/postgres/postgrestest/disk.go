//go:build linux

package postgrestest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Disk is a small one.
type Disk struct {
	Path string
	full *os.File // what fills it
}

// SmallDisk mounts a disk in memory until the test ends, for which the test must run as
// root. It is to be made before the servers that use it.
func SmallDisk(t testing.TB, megabytes int) *Disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a disk")
	}
	d := &Disk{Path: Folder(t, "")}
	if err := syscall.Mount("tmpfs", d.Path, "tmpfs", 0, "size="+strconv.Itoa(megabytes)+"m,mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Free(t)
		d.unmount(t)
	})
	Give(t, d.Path)
	return d
}

// unmount waits for the processes of a server that was killed, which may take a moment
// to go.
func (d *Disk) unmount(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := syscall.Unmount(d.Path, 0)
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EBUSY) || !pause(ctx) {
			t.Fatal(err)
		}
	}
}

// Fill takes all the space that is left.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	var err error
	if d.full, err = os.Create(filepath.Join(d.Path, "full")); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1 << 20, 1 << 12} {
		block := make([]byte, size)
		for err == nil {
			_, err = d.full.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if _, err = d.full.Seek(0, io.SeekEnd); err != nil {
			t.Fatal(err)
		}
	}
}

// Free gives the space back.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	if d.full == nil {
		return
	}
	if err := errors.Join(d.full.Close(), os.Remove(d.full.Name())); err != nil {
		t.Error(err)
	}
	d.full = nil
}
