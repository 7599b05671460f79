package recipe

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// complete sets what the recipe did not say, and tells of what is missing or does not
// fit together. After other faults that would be about what nobody could read.
func (r *reader) complete(n *yaml.Node, to *Recipe) {
	if len(r.faults) > 0 {
		return
	}
	line := lineOf(n)
	if to.Name == "" {
		r.failf(n.Line, "the recipe has no name: give it one")
	}
	if index, found := to.commandless(); found {
		r.failf(n.Line, "member %d has no command: give the recipe one, or every role", index)
	}
	if to.Program == "" && len(to.Command) > 0 && !strings.Contains(to.Command[0].Text, "{{") {
		to.Program = to.Command[0].Text
	}
	if to.TLS == "" {
		to.TLS = TLSSelf
	}
	to.Fewest = max(to.Fewest, 1)
	if to.Members == 0 {
		to.Members = max(DefaultMembers, to.Fewest)
	}
	if to.Members < to.Fewest {
		r.failf(line("members"), "members is %d, and fewest %d: start as many as the system needs", to.Members, to.Fewest)
	}
	r.fixedPorts(to)
	r.readies(to)
}

// lineOf returns what says in which line a field of n is.
func lineOf(n *yaml.Node) func(field string) int {
	return func(field string) int {
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == field {
				return n.Content[i].Line
			}
		}
		return n.Line
	}
}

// fixedPorts tells of ports that all members would have at the same address.
func (r *reader) fixedPorts(to *Recipe) {
	for _, p := range to.Ports {
		if p.Number != 0 && to.Address == "" {
			r.failf(p.Line, "port %q is %d for every member: set 'address: %s', so that each has an address of its own, or leave the number away", p.Name, p.Number, eachAddress)
		}
	}
}

// readies tells of checks that cannot be.
func (r *reader) readies(to *Recipe) {
	all := []Text{to.Ready}
	for _, role := range to.Roles {
		all = append(all, role.Ready)
	}
	for _, t := range all {
		if why := to.badReady(t.Text); why != "" {
			r.failf(t.Line, "ready %q %s", t.Text, why)
		}
	}
}

// badReady says what is wrong with a check that is no command.
func (r *Recipe) badReady(spec string) string {
	scheme, rest, _ := strings.Cut(spec, ":")
	port := rest
	switch scheme {
	case "tcp":
	case "http", "https":
		var path string
		port, path, _ = strings.Cut(rest, "/")
		if !strings.Contains(rest, "/") || strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t\n") {
			return "has no path: write it as " + scheme + ":/PATH, or " + scheme + ":PORT/PATH"
		}
	default:
		return ""
	}
	if len(r.Ports) == 0 {
		return "is about a port, and the recipe has none: name it in ports"
	}
	if n, err := strconv.Atoi(port); port == "" || err == nil && n >= 0 && n < len(r.Ports) || slices.Contains(r.PortNames(), port) {
		return ""
	}
	return "is about port " + strconv.Quote(port) + ": there are " + strings.Join(r.PortNames(), ", ")
}
