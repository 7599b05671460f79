package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/internal/view"
)

func newCheck(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR|FILE",
		Short: "Check a registry's directory, or a backup",
		Long: "Check the data directory of a registry that is stopped, or a backup FILE: the keys, their\n" +
			"permissions, regCred.dat, and every page and record of the data. Nothing is changed.\n" +
			"Exit code 0 means that everything is in order. Data in a store that servers share is not looked at.",
		Example: "  xlreg check /var/lib/xlreg",
		Args:    oneArg("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := check(args[0])
			if err != nil {
				return err
			}
			return g.printReport("checked", args[0], report)
		},
	}
}

func check(path string) (*datadir.Report, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() {
		return datadir.CheckArchive(path)
	}
	return datadir.Check(path)
}

func newBackup(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "backup DIR FILE",
		Short: "Copy a registry, running or not, into one file",
		Long: "Copy a registry into one file: its keys, its name and ID, regCred.dat, and a consistent\n" +
			"snapshot of its data. The registry can go on serving meanwhile. FILE appears when it is\n" +
			"complete and has been checked. Keep it safe: it contains the registry's private keys.\n" +
			"Of data in a store that servers share it has nothing: back that up by the store's own means.",
		Example: "  xlreg backup /var/lib/xlreg /backup/xlreg.tar",
		Args:    twoArgs("DIR", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := datadir.Pack(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return g.printReport("backup", args[1], report)
		},
	}
}

func newRestore(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE DIR",
		Short: "Restore a registry from a backup",
		Long: "Restore a registry from a backup FILE into DIR, which must be empty or not exist. FILE is\n" +
			"checked before anything is written, and DIR afterwards. Make sure that the registry the\n" +
			"backup was made of no longer runs: both would give out IDs under the same name.",
		Example: "  xlreg restore /backup/xlreg.tar /var/lib/xlreg",
		Args:    twoArgs("FILE", "DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := datadir.Unpack(args[0], args[1])
			if err != nil {
				return err
			}
			return g.printReport("restored", args[1], report)
		},
	}
}

// twoArgs is the check of a command that takes two arguments.
func twoArgs(first, second string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return oneArg([]string{first, second}[len(args)])(cmd, nil)
		}
		return oneArg(second)(cmd, args[1:])
	}
}

// reportJSON is what was found, for scripts.
type reportJSON struct {
	Path     string     `json:"path"`
	Name     xlreg.Name `json:"name,omitempty"`
	ID       string     `json:"id,omitempty"`
	Sig      string     `json:"sig,omitempty"`
	Nodes    int        `json:"nodes"`
	Clusters int        `json:"clusters"`
	Seats    int        `json:"seats"`
	Bytes    int64      `json:"bytes"`
	Shared   bool       `json:"shared,omitempty"` // the data are in a store and not there
}

func (g *globals) printReport(done, path string, r *datadir.Report) error {
	v := reportJSON{
		Path: path, Name: r.Name, ID: r.ID.String(), Sig: r.Sig,
		Nodes: r.Counts.Nodes, Clusters: r.Counts.Clusters, Seats: r.Counts.Seats, Bytes: r.Bytes,
		Shared: r.Shared,
	}
	fields := []view.Field{{done, path}}
	if v.Name != "" {
		fields = append(fields, view.Field{"name", string(v.Name)}, view.Field{"id", v.ID}, view.Field{"sig key", v.Sig})
	}
	if v.Shared {
		return g.PrintFields(v, append(fields, view.Field{"data", "not there: it is in the store that servers share"})...)
	}
	if v.Bytes == 0 {
		return g.PrintFields(v, append(fields, view.Field{"data", "none"})...)
	}
	fields = append(fields,
		view.Field{"nodes", fmt.Sprint(v.Nodes)}, view.Field{"clusters", fmt.Sprint(v.Clusters)},
		view.Field{"seats", fmt.Sprint(v.Seats)}, view.Field{"data", fmt.Sprintf("%d bytes", v.Bytes)})
	return g.PrintFields(v, fields...)
}
