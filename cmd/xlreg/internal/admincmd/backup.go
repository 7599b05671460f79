package admincmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/view"
)

// backupJSON is a backup that was made.
type backupJSON struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Keys  bool   `json:"keys"` // the registry's keys are in it
}

func newBackup(a *admin) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy a running registry into a file",
		Long: "Copy a running registry into FILE, which appears, or replaces an older one, when it is whole.\n\n" +
			"On the registry's machine it is what 'xlreg backup' makes, with the registry's keys, and\n" +
			"'xlreg restore' puts it back. From elsewhere it is the data alone, for keys never leave\n" +
			"the machine that way: FILE is then what xlreg.db is in the data directory.",
		Args: wants("FILE"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.place.isRemote(a.Globals) {
			return a.with(a.backupData)(cmd, args)
		}
		return a.backupAll(cmd.Context(), args[0])
	}
	return cmd
}

func (a *admin) backupAll(ctx context.Context, file string) error {
	dir, err := a.place.Dir()
	if err != nil {
		return err
	}
	report, err := datadir.Pack(ctx, dir, file)
	if err != nil {
		return err
	}
	return a.printBackup(&backupJSON{Path: file, Bytes: report.Bytes, Keys: true})
}

func (a *admin) backupData(ctx context.Context, c *adminclient.Client, args []string) (err error) {
	file := args[0]
	f, err := os.CreateTemp(filepath.Dir(file), atomicfile.Pattern(filepath.Base(file))) // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which is no more if all went well
	defer f.Close()
	v := backupJSON{Path: file}
	err = c.Backup(ctx, func(size int64) io.Writer {
		v.Bytes = size
		return f
	})
	if err = errors.Join(err, f.Sync()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return errors.Join(atomicfile.SyncDir(filepath.Dir(file)), a.printBackup(&v))
}

func (a *admin) printBackup(v *backupJSON) error {
	inIt := "in it: keep it as safe as they are"
	if !v.Keys {
		inIt = "not in it: 'xlreg backup' on the registry's machine copies them, too"
	}
	return a.PrintFields(v, view.Field{"backup", v.Path}, view.Field{"data", fmt.Sprintf("%d bytes", v.Bytes)}, view.Field{"keys", inIt})
}
