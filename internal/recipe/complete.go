package recipe

import (
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
	if _, first := to.Member(0); to.First && first.Ready.Text == "" {
		r.failf(line("first"), "the others wait until member 0 is ready: say in ready, or in its role's, how to tell")
	}
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
			r.failf(p.Line, "port %q is %d for every member: set 'address: %s', so that each has an address of its own, or leave the number out", p.Name, p.Number, EachAddress)
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
		if err := to.checkReady(t.Text); err != nil {
			r.failf(t.Line, "ready %q: %v", t.Text, err)
		}
	}
}
