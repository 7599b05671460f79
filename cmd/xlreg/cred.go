package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

func newCred(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cred",
		Short: "Show and fetch registry credentials",
		Long:  "Registry credentials, a regCred.dat file, say where a registry is and how to recognise\nit: they contain its public keys. They are not secret, but must come from someone you trust.",
	}
	cmd.AddCommand(newCredShow(g), newCredFetch(g), newCredURL(g))
	return cmd
}

func newCredShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Show registry credentials",
		Args:  oneArg("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			cred, err := regcred.Read(args[0])
			if err != nil {
				return err
			}
			return g.printCred(cred)
		},
	}
}

func newCredURL(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "url FILE",
		Short: "Print the xlreg:// line with which a 2.0 client finds and recognises the registry",
		Args:  oneArg("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			cred, err := regcred.Read(args[0])
			if err != nil {
				return err
			}
			if _, modern := cred.Protocol(); !modern && g.Protocol.Protocol != xlreg.Protocol20 {
				return fmt.Errorf("%s is of a registry of version %v, which clients need the file itself for; if it has been upgraded since, say --protocol 2.0", args[0], cred.Version)
			}
			url, err := regcred.URL(cred)
			if err != nil {
				return err
			}
			return g.printURL(url)
		},
	}
}

func (g *globals) printURL(url string) error {
	if g.Output == "json" {
		return g.PrintJSON(struct {
			URL string `json:"url"`
		}{url})
	}
	_, err := fmt.Fprintln(g.Out, url)
	return err
}

// credJSON is a registry's credentials as scripts read them.
type credJSON struct {
	Name      xlreg.Name       `json:"name"`
	ID        string           `json:"id"`
	Version   string           `json:"version"`
	Endpoints []xlreg.Endpoint `json:"endpoints"`
	Sig       string           `json:"sig"`
	URL       string           `json:"url,omitempty"` // of registries that speak 2.0
	CommsKey  string           `json:"commsKey"`
	SigKey    string           `json:"sigKey"`
	Ticket    string           `json:"ticket,omitempty"` // of 'serve --dev', to try out
}

func (g *globals) printCred(cred *xlreg.Credentials) error {
	v, fields, err := newCredJSON(cred)
	if err != nil {
		return err
	}
	return g.PrintFields(v, fields...)
}

func newCredJSON(cred *xlreg.Credentials) (v credJSON, fields []view.Field, err error) {
	v = credJSON{
		Name: cred.Name, ID: cred.ID.String(), Version: cred.Version.String(), Endpoints: cred.Endpoints,
		CommsKey: view.KeyPEM(string(cred.CommsKey)), SigKey: view.KeyPEM(string(cred.SigKey)),
	}
	if v.Sig, err = keys.Fingerprint(cred.SigKey); err != nil {
		return v, nil, err
	}
	fields = []view.Field{
		{"name", string(v.Name)}, {"id", v.ID}, {"version", v.Version},
		{"endpoints", view.Endpoints(v.Endpoints)}, {"sig key", v.Sig},
	}
	if _, modern := cred.Protocol(); modern {
		if v.URL, err = regcred.URL(cred); err != nil {
			return v, nil, err
		}
		fields = append(fields, view.Field{"url", v.URL})
	}
	return v, fields, nil
}

func newCredFetch(g *globals) *cobra.Command {
	var sig, out string
	cmd := &cobra.Command{
		Use:   "fetch HOST:PORT",
		Short: "Fetch the credentials of a 2.0 registry from the registry",
		Long: "Fetch the credentials of a 2.0 registry from the registry itself, as a regCred file.\n\n" +
			"With --sig the registry must prove that it has the key with that fingerprint. Without\n" +
			"--sig you are shown the fingerprint and asked whether you trust it.",
		Example: "  xlreg cred fetch registry.example.org:56789 --sig SHA256:… --out regCred.dat",
		Args:    oneArg("HOST:PORT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := xlreg.ParseEndpoint(args[0])
			if err != nil {
				return cli.UsageError(err)
			}
			cred, err := g.fetch(cmd.Context(), e, sig)
			if err != nil {
				return err
			}
			return g.saveCred(cred, out)
		},
	}
	cmd.Flags().StringVar(&sig, "sig", "", "the registry's `FINGERPRINT`, SHA256:…")
	cmd.Flags().StringVar(&out, "out", "", "write to `FILE` (default standard output)")
	return cmd
}

// fetch gets the credentials of the registry at e, which has to prove that it
// holds the key with the fingerprint given or agreed to.
func (g *globals) fetch(ctx context.Context, e xlreg.Endpoint, sig string) (*xlreg.Credentials, error) {
	if sig == "" {
		claimed, err := g.probe(ctx, e)
		if err != nil {
			return nil, err
		}
		if err := g.askTrust(ctx, e, claimed); err != nil {
			return nil, err
		}
		sig = claimed
	}
	target, err := regcred.ParseURL(fmt.Sprintf("xlreg://%s/?sig=%s", e, sig))
	if err != nil {
		return nil, cli.UsageError(fmt.Errorf("--sig %q: want a fingerprint, SHA256: and 43 characters", sig))
	}
	var cred *xlreg.Credentials
	err = g.inSession(ctx, target, nil, func(ctx context.Context, c *client.Client) (err error) {
		cred, err = c.Registry(ctx)
		return err
	})
	return cred, err
}

// probe returns the fingerprint that the registry at e claims for its key.
func (g *globals) probe(ctx context.Context, e xlreg.Endpoint) (string, error) {
	defer cli.ShowLate(g.Console, "looking for the registry")()
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	return client.Probe(ctx, e, client.Options{})
}

// askTrust asks the person at the terminal.
func (g *globals) askTrust(ctx context.Context, e xlreg.Endpoint, sig string) error {
	if !cli.IsTerminal(g.In) || !cli.IsTerminal(g.Err) {
		return cli.UsageError(fmt.Errorf("nobody is here to be asked, and the registry at %s only claims to have the key %s: "+
			"give the fingerprint it should have with --sig", e, sig))
	}
	fmt.Fprintf(g.Err, "The registry at %s says its key is\n\n  %s\n\n"+
		"It is the right one only if that is what its operator told you.\nTrust it? [y/N] ", e, sig)
	yes, err := g.AskYes(ctx)
	if err == nil && !yes {
		err = errors.New("not trusted, nothing fetched")
	}
	return err
}

// saveCred writes the file, to out or to standard output. What stands on standard
// output with a file, or in JSON, is a description of it.
func (g *globals) saveCred(cred *xlreg.Credentials, out string) error {
	if out != "" {
		if err := regcred.Write(out, cred); err != nil {
			return err
		}
	}
	if out != "" || g.Output == "json" {
		return g.printCred(cred)
	}
	text, err := regcred.Marshal(cred)
	if err != nil {
		return err
	}
	_, err = g.Out.Write(text)
	return err
}
