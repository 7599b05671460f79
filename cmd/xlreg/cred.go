package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/regcred"
)

func newCred(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cred",
		Short: "Show and fetch registry credentials",
		Long:  "Registry credentials, a regCred.dat file, say where a registry is and how to know it:\nits public keys. They are no secret, but must come from someone you trust.",
		RunE:  needSubcommand,
	}
	cmd.AddCommand(newCredShow(g), newCredFetch(g), newCredURL(g))
	return cmd
}

func newCredShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Show registry credentials",
		Args:  cobra.ExactArgs(1),
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
		Short: "Print the xlreg:// line with which a 2.0 client finds and knows the registry",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cred, err := regcred.Read(args[0])
			if err != nil {
				return err
			}
			url, err := cred.URL()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(g.out, url)
			return err
		},
	}
}

// credJSON is a registry's credentials as scripts read them.
type credJSON struct {
	Name      xlreg.Name       `json:"name"`
	ID        string           `json:"id"`
	Version   string           `json:"version"`
	Endpoints []xlreg.Endpoint `json:"endpoints"`
	Sig       string           `json:"sig"`
	URL       string           `json:"url"`
	CommsKey  string           `json:"commsKey"`
	SigKey    string           `json:"sigKey"`
}

func (g *globals) printCred(cred *regcred.Cred) error {
	sig, err := cred.Fingerprint()
	if err != nil {
		return err
	}
	url, err := cred.URL()
	if err != nil {
		return err
	}
	return g.printFields(credJSON{
		cred.Name, cred.ID.String(), cred.Version.String(), cred.Endpoints, sig, url,
		keyPEM(string(cred.CommsKey)), keyPEM(string(cred.SigKey)),
	},
		field{"name", string(cred.Name)}, field{"id", cred.ID.String()}, field{"version", cred.Version.String()},
		field{"endpoints", joinEndpoints(cred.Endpoints)}, field{"sig key", sig}, field{"url", url})
}

func newCredFetch(g *globals) *cobra.Command {
	var sig, out string
	cmd := &cobra.Command{
		Use:   "fetch HOST:PORT",
		Short: "Get the credentials of a 2.0 registry from itself",
		Long: "Get the credentials of a 2.0 registry from itself, as a regCred file.\n\n" +
			"With --sig the registry must prove to hold the key with that fingerprint. Without,\n" +
			"you are shown the fingerprint and asked whether you trust it.",
		Example: "  xlreg cred fetch registry.example.org:56789 --sig SHA256:… --out regCred.dat",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := xlreg.ParseEndpoint(args[0])
			if err != nil {
				return usageError{err}
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
func (g *globals) fetch(ctx context.Context, e xlreg.Endpoint, sig string) (*regcred.Cred, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if sig == "" {
		claimed, err := client.Probe(ctx, e, client.Options{})
		if err != nil {
			return nil, err
		}
		if err := g.askTrust(e, claimed); err != nil {
			return nil, err
		}
		sig = claimed
	}
	target := &regcred.Target{Endpoints: []xlreg.Endpoint{e}, Fingerprint: sig}
	c, err := client.Dial(ctx, target, client.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Registry(ctx)
}

// askTrust asks the person at the terminal.
func (g *globals) askTrust(e xlreg.Endpoint, sig string) error {
	if !isTerminal(g.in) {
		return usageError{fmt.Errorf("the registry at %s claims the key %s; if that is right, say so with --sig", e, sig)}
	}
	fmt.Fprintf(g.err, "The registry at %s has the key\n  %s\nDo you trust it? [y/N] ", e, sig)
	answer, err := bufio.NewReader(g.in).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("not trusted, nothing fetched")
	}
	return nil
}

func (g *globals) saveCred(cred *regcred.Cred, out string) error {
	if out != "" {
		return cred.Write(out)
	}
	if g.output == "json" {
		return g.printCred(cred)
	}
	text, err := cred.Marshal()
	if err != nil {
		return err
	}
	_, err = g.out.Write(text)
	return err
}
