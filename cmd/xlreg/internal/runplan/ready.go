package runplan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/xlattice/xlreg/launch"
)

// The kinds of checks that tell whether a member is ready.
const (
	ReadyTCP     = "tcp"
	ReadyHTTP    = "http"
	ReadyHTTPS   = "https"
	ReadyCommand = "command"
)

// Ready is how to find out that a member is ready.
type Ready struct {
	Kind string           // one of the constants
	Port string           // a port's name or index; empty: the one for clients
	Text *launch.Template // of a command, or the path of ReadyHTTP and ReadyHTTPS; nil for ReadyTCP

	where string
}

// parseReady reads tcp[:PORT], http[s]:[PORT]/PATH, or else a command. No text is no check.
func parseReady(t launch.Text) (*Ready, error) {
	kind, rest, colon := strings.Cut(t.Text, ":")
	switch {
	case t.Text == "":
		return nil, nil //nolint:nilnil // there is none, and nothing is wrong
	case kind == ReadyTCP && (!colon || isPort(rest)):
		return &Ready{Kind: kind, Port: rest, where: t.Where}, nil
	case kind == ReadyTCP && colon:
		return nil, fmt.Errorf("%s %q: want tcp, or tcp:PORT with a port's name or index", t.Where, t.Text)
	case colon && (kind == ReadyHTTP || kind == ReadyHTTPS) || t.Text == ReadyHTTP || t.Text == ReadyHTTPS:
		return parseHTTP(kind, rest, t)
	}
	return newReady(ReadyCommand, "", t)
}

func parseHTTP(kind, rest string, t launch.Text) (*Ready, error) {
	port, path, ok := strings.Cut(rest, "/")
	if !ok || strings.HasPrefix(path, "/") || port != "" && !isPort(port) {
		return nil, fmt.Errorf("%s %q: want %s:/PATH, or %s:PORT/PATH with a port's name or index; the host is the member's own", t.Where, t.Text, kind, kind)
	}
	return newReady(kind, port, launch.Text{Where: t.Where, Text: "/" + path})
}

func newReady(kind, port string, t launch.Text) (r *Ready, err error) {
	r = &Ready{Kind: kind, Port: port, where: t.Where}
	r.Text, err = launch.ParseTemplate(t)
	return r, err
}

// isPort reports whether text is a port's name or index.
func isPort(text string) bool { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`).MatchString(text) }

// Where says what is to be asked of d's member: where it listens and, unless that is all, a
// path. For a command it returns the command.
func (r *Ready) Where(d *launch.Data) (addr launch.Endpoint, text string, err error) {
	if text, err = Expand(r.Text, d); err != nil || r.Kind == ReadyCommand {
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

// withoutTLS returns the same check of a member that has no TLS.
func (r *Ready) withoutTLS() *Ready {
	if r == nil || r.Kind != ReadyHTTPS {
		return r
	}
	plain := *r
	plain.Kind = ReadyHTTP
	return &plain
}

// errNoTLS says that a check wants what the members do not have.
var errNoTLS = errors.New("https needs the certificates that --tls none leaves out")

func (r *Ready) try(d *launch.Data) error {
	if r == nil {
		return nil
	}
	if r.Kind == ReadyHTTPS && d.NoTLS {
		return fmt.Errorf("%s: %w", r.where, errNoTLS)
	}
	_, _, err := r.Where(d)
	return err
}
