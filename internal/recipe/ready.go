package recipe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The kinds of checks that tell whether a member is ready.
const (
	ReadyTCP     = "tcp"
	ReadyHTTP    = "http"
	ReadyHTTPS   = "https"
	ReadyCommand = "command"
)

// Ready is a check that tells whether a member is ready.
type Ready struct {
	Kind string // one of the constants
	Port string // a port's name or index; empty: the one for clients
	Text string // a command, or the path of ReadyHTTP and ReadyHTTPS with its /; both are templates
}

// ParseReady reads tcp[:PORT], http[s]:[PORT]/PATH, or else a command.
func ParseReady(text string) (Ready, error) {
	kind, rest, colon := strings.Cut(text, ":")
	switch {
	case kind == ReadyTCP && (!colon || isPort(rest)):
		return Ready{Kind: kind, Port: rest}, nil
	case kind == ReadyTCP:
		return Ready{}, errors.New("want tcp, or tcp:PORT with a port's name or index")
	case colon && (kind == ReadyHTTP || kind == ReadyHTTPS) || text == ReadyHTTP || text == ReadyHTTPS:
		return parseHTTP(kind, rest)
	}
	return Ready{Kind: ReadyCommand, Text: text}, nil
}

func parseHTTP(kind, rest string) (Ready, error) {
	port, path, ok := strings.Cut(rest, "/")
	if !ok || strings.HasPrefix(path, "/") || port != "" && !isPort(port) {
		return Ready{}, fmt.Errorf("want %s:/PATH, or %s:PORT/PATH with a port's name or index; the host is the member's own", kind, kind)
	}
	return Ready{Kind: kind, Port: port, Text: "/" + path}, nil
}

// portPattern is what a port's name or index looks like.
var portPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func isPort(text string) bool { return portPattern.MatchString(text) }

// checkReady finds what is wrong with a check of r's members. No text is no check.
func (r *Recipe) checkReady(text string) error {
	if text == "" {
		return nil
	}
	ready, err := ParseReady(text)
	switch {
	case err != nil || ready.Kind == ReadyCommand:
		return err
	case len(r.Ports) == 0:
		return errors.New("the recipe has no ports: name one in ports")
	}
	if n, err := strconv.Atoi(ready.Port); err == nil && n < len(r.Ports) || ready.Port == "" || slices.Contains(r.PortNames(), ready.Port) {
		return nil
	}
	return fmt.Errorf("there is no port %q, only %s", ready.Port, strings.Join(r.PortNames(), ", "))
}
