package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/view"
)

func newVerify(g *globals) *cobra.Command {
	var f ticketFlags
	cmd := &cobra.Command{
		Use:   "verify FILE…",
		Short: "Verify what a registry has signed, without asking it",
		Long: "Verify files that 'xlreg get --signed' has written: that the registry has signed them, and\n" +
			"that every member has signed what stands there of it. --registry says by which key the\n" +
			"registry is known. A ticket in its place says, too, which cluster it has to be, and then\n" +
			"the owner's signature for every member is verified.\n\n" +
			"Nobody is asked. Two files of one cluster and one revision that contradict each other\n" +
			"prove that the registry has lied.\n\n" + ticketHelp,
		Example: "  xlreg get web --signed web.roster\n  xlreg verify web.roster --registry regCred.dat",
		Args:    ticketAnd(someFiles),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, files, err := g.verifyBy(cmd, &f, args)
			if err != nil {
				return err
			}
			return g.verify(target, files)
		},
	}
	f.register(cmd)
	return cmd
}

func someFiles(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("missing FILE")
	}
	return nil
}

// verifyBy returns what the files are to be verified by. What is said in words counts
// before a ticket in the environment.
func (g *globals) verifyBy(cmd *cobra.Command, f *ticketFlags, args []string) (client.Target, []string, error) {
	named := g.Registry != "" && !g.FromEnv("registry")
	if ticketGiven := f.has(g, args) || f.line != "" || f.file != ""; ticketGiven && !named {
		return g.takeTarget(cmd, f, args)
	}
	if f.inWords(g, args) {
		return nil, nil, cli.UsageError(errTicketAndRegistry)
	}
	target, err := g.Target()
	return target, args, err
}

func (g *globals) takeTarget(cmd *cobra.Command, f *ticketFlags, args []string) (client.Target, []string, error) {
	t, rest, err := f.take(cmd.Context(), g, args)
	if err != nil {
		return nil, nil, err
	}
	return t, rest, nil
}

// documentJSON is a signed roster as scripts read it.
type documentJSON struct {
	File     string       `json:"file"`
	Cluster  view.Cluster `json:"cluster"`
	Epoch    uint64       `json:"epoch"`
	Revision uint64       `json:"revision"`
	Sum      string       `json:"sum"`
	Signed   time.Time    `json:"signed"`
	Pinned   bool         `json:"pinned"`
	Members  int          `json:"members"`
}

// verify verifies the files on their own and then against each other.
func (g *globals) verify(target client.Target, files []string) error {
	rosters := make([]*client.SignedRoster, len(files))
	for i, file := range files {
		document, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if rosters[i], err = client.VerifySigned(target, document); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := g.printVerified(files, rosters); err != nil {
		return err
	}
	for i := range rosters {
		for j := range i {
			if err := rosters[j].Contradicts(rosters[i]); err != nil {
				return fmt.Errorf("%s and %s: %w", files[j], files[i], err)
			}
		}
	}
	return nil
}

func (g *globals) printVerified(files []string, rosters []*client.SignedRoster) error {
	documents := make([]documentJSON, len(files))
	for i, r := range rosters {
		documents[i] = documentJSON{
			File: files[i], Cluster: view.NewCluster(&r.Cluster), Epoch: r.State.Epoch, Revision: r.State.Revision,
			Sum: r.ShortSum(), Signed: r.Time.UTC(), Pinned: r.Pinned, Members: len(r.Members),
		}
	}
	if g.Output == "json" {
		return g.PrintJSON(struct {
			Documents []documentJSON `json:"documents"`
		}{documents})
	}
	for i := range documents {
		if i > 0 {
			fmt.Fprintln(g.Out)
		}
		if err := g.PrintFields(nil, documents[i].fields()...); err != nil {
			return err
		}
	}
	return nil
}

func (d *documentJSON) fields() []view.Field {
	fields := []view.Field{
		{"verified", d.File}, {"cluster", string(d.Cluster.Name)}, {"id", d.Cluster.ID},
		{"members", fmt.Sprintf("%d of %d", d.Members, d.Cluster.Size)}, {"epoch", fmt.Sprint(d.Epoch)},
		{"revision", fmt.Sprint(d.Revision)}, {"signed", d.Signed.Format(time.RFC3339)}, {"sum", d.Sum},
	}
	if d.Cluster.Key != "" {
		fields = append(fields, view.Field{"key", d.Cluster.Key + pinText(d.Pinned)})
	}
	return fields
}

// pinText says whether a cluster's key was known beforehand.
func pinText(pinned bool) string {
	if pinned {
		return ""
	}
	return "  (not pinned)"
}
