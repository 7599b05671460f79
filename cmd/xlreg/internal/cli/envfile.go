package cli

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Setting is one line of an environment file.
type Setting struct {
	Name, Value string
	Line        int
}

// ParseEnvFile reads NAME=VALUE, one a line, in a form that systemd's EnvironmentFile= and
// a shell read alike: a value may be in quotes, and a line that is empty or begins with #
// says nothing. What those two would read in different ways is an error here. Of several
// lines with one name the last one counts.
func ParseEnvFile(data []byte) ([]Setting, error) {
	var all []Setting
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		name, value, err := parseEnvLine(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if name != "" {
			all = append(all, Setting{name, value, n})
		}
	}
	return all, nil
}

// parseEnvLine returns an empty name for a line that says nothing.
func parseEnvLine(line string) (name, value string, err error) {
	if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
		return "", "", errors.New("not text")
	}
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	name, value, found := strings.Cut(line, "=")
	if !found || !isVariable(name) {
		return "", "", errors.New("want NAME=VALUE")
	}
	value, err = unquote(value)
	return name, value, err
}

func isVariable(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// unquote returns a value without the quotes that it may be in.
func unquote(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	quote := value[0]
	special := "'\"\\$` \t;&|<>()~"
	switch quote {
	case '\'':
		special = "'"
	case '"':
		special = "\"\\$`"
	default:
		return value, without(value, special)
	}
	if len(value) < 2 || value[len(value)-1] != quote {
		return "", errors.New("a quote is not closed at the end of the line")
	}
	value = value[1 : len(value)-1]
	return value, without(value, special)
}

// without refuses characters that mean something else to a shell, or to systemd.
func without(value, special string) error {
	i := strings.IndexAny(value, special)
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%q in the value: want it in single quotes, or without", value[i])
}
