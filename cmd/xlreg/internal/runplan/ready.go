package runplan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/launch"
)

// Ready is how to find out that a member is ready.
type Ready struct {
	Kind string           // one of package recipe's
	Port string           // a port's name or index; empty: the one for clients
	Text *launch.Template // a command, or a path; nil for recipe.ReadyTCP

	where string
}

// parseReady returns nil for no text, which is no check.
func parseReady(t launch.Text) (*Ready, error) {
	if t.Text == "" {
		return nil, nil //nolint:nilnil // there is none, and nothing is wrong
	}
	r, err := recipe.ParseReady(t.Text)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", t.Where, t.Text, err)
	}
	text, err := parse(launch.Text{Where: t.Where, Text: r.Text})
	return &Ready{Kind: r.Kind, Port: r.Port, Text: text, where: t.Where}, err
}

// Where says what is to be asked of d's member: where it listens and, unless that is all, a
// path. For a command it returns the command.
func (r *Ready) Where(d *launch.Data) (addr launch.Endpoint, text string, err error) {
	if text, err = Expand(r.Text, d); err != nil || r.Kind == recipe.ReadyCommand {
		return "", text, err
	}
	port := any(r.Port)
	if r.Port == "" {
		port = d.ClientPort()
	}
	if addr, err = d.Self.Endpoint(port); err != nil {
		return "", "", fmt.Errorf("%s: %w", r.where, err)
	}
	return addr, text, nil
}

// Name returns what people call a command that is a check: itself if it is short, or else
// where it stands.
func (r *Ready) Name(command string) string {
	command = strings.TrimSpace(command)
	if strings.Contains(command, "\n") || len(command) > 200 {
		return "the check in " + r.where
	}
	return command
}

// withoutTLS returns the same check of a member that has no TLS.
func (r *Ready) withoutTLS() *Ready {
	if r == nil || r.Kind != recipe.ReadyHTTPS {
		return r
	}
	plain := *r
	plain.Kind = recipe.ReadyHTTP
	return &plain
}

// errNoTLS says that a check wants what the members do not have.
var errNoTLS = errors.New("https needs the certificates that --tls none leaves out")

func (r *Ready) try(d *launch.Data) error {
	if r == nil {
		return nil
	}
	if r.Kind == recipe.ReadyHTTPS && d.NoTLS {
		return fmt.Errorf("%s: %w", r.where, errNoTLS)
	}
	_, _, err := r.Where(d)
	return err
}
