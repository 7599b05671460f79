package recipe

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/xlattice/xlreg"
)

// recipe reads the whole of one. The fields are those of Recipe, and a test holds them
// against each other.
func (r *reader) recipe(n *yaml.Node, to *Recipe) {
	known := r.what(&to.What)
	for name, read := range r.head(to) {
		known[name] = read
	}
	for name, read := range r.life(to) {
		known[name] = read
	}
	r.mapping(n, "the recipe", known)
	r.complete(n, to)
}

// head has the fields that say what a system is.
func (r *reader) head(to *Recipe) fields {
	return fields{
		"name":    func(n *yaml.Node) { to.Name = r.name(n, "name") },
		"about":   func(n *yaml.Node) { to.About = r.line(n, "about") },
		"tested":  func(n *yaml.Node) { to.Tested = r.words(n, "tested") },
		"program": func(n *yaml.Node) { to.Program = r.line(n, "program") },
		"needs":   func(n *yaml.Node) { to.Needs = r.words(n, "needs") },
		"python":  func(n *yaml.Node) { to.Python = r.modules(n) },
		"install": func(n *yaml.Node) {
			r.mapping(n, "install", fields{
				"debian": func(n *yaml.Node) { to.Install.Debian = r.line(n, "debian") },
				"pypi":   func(n *yaml.Node) { to.Install.PyPI = r.line(n, "pypi") },
				"go":     func(n *yaml.Node) { to.Install.Go = r.line(n, "go") },
				"shell":  func(n *yaml.Node) { to.Install.Shell = r.line(n, "shell") },
			})
		},
		"members": func(n *yaml.Node) { to.Members = r.number(n, "members", xlreg.MaxClusterSize) },
		"fewest":  func(n *yaml.Node) { to.Fewest = r.number(n, "fewest", xlreg.MaxClusterSize) },
		"ports":   func(n *yaml.Node) { to.Ports = r.ports(n) },
		"address": func(n *yaml.Node) { to.Address = r.address(n) },
		"tls":     func(n *yaml.Node) { r.tlsKinds(n, to) },
	}
}

// life has the fields that say how a system comes up, and how one talks to it.
func (r *reader) life(to *Recipe) fields {
	return fields{
		"first":         func(n *yaml.Node) { to.First = r.yes(n, "first") },
		"shared":        func(n *yaml.Node) { to.Shared = r.words(n, "shared") },
		"roles":         func(n *yaml.Node) { to.Roles = r.roles(n) },
		"format":        func(n *yaml.Node) { to.Format = r.filled(n, "format") },
		"ready-timeout": func(n *yaml.Node) { to.ReadyTimeout = r.duration(n, "ready-timeout") },
		"stop-timeout":  func(n *yaml.Node) { to.StopTimeout = r.duration(n, "stop-timeout") },
		"after-ready":   func(n *yaml.Node) { to.AfterReady = r.filled(n, "after-ready") },
		"status":        func(n *yaml.Node) { to.Status = r.filled(n, "status") },
		"client": func(n *yaml.Node) {
			r.mapping(n, "client", fields{
				"env":   func(n *yaml.Node) { to.Client.Env = r.variables(n) },
				"paste": func(n *yaml.Node) { to.Client.Paste = r.filled(n, "paste") },
			})
		},
	}
}

// what has the fields that a role has, too.
func (r *reader) what(to *What) fields {
	return fields{
		"command": func(n *yaml.Node) { to.Command = r.command(n) },
		"env":     func(n *yaml.Node) { to.Env = r.variables(n) },
		"files":   func(n *yaml.Node) { to.Files = r.files(n) },
		"ready":   func(n *yaml.Node) { to.Ready = r.filled(n, "ready") },
	}
}

// text reads a template, which may be empty.
func (r *reader) text(n *yaml.Node, what string) Text {
	if !r.is(n, yaml.ScalarNode, what) {
		return Text{}
	}
	if n.Tag == "!!null" {
		r.failf(n.Line, "%s is empty: give it a value, or write \"\"", what)
		return Text{}
	}
	if strings.Contains(n.Value, "\x00") {
		r.failf(n.Line, "%s has a zero byte: leave it out", what)
		return Text{}
	}
	line := n.Line
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		line++ // the text begins below its | or >
	}
	return Text{Text: n.Value, Line: line}
}

// filled reads a template that is not empty.
func (r *reader) filled(n *yaml.Node, what string) Text {
	faults := len(r.faults)
	text := r.text(n, what)
	if strings.TrimSpace(text.Text) == "" && len(r.faults) == faults {
		r.failf(n.Line, "%s is empty: give it a value, or leave it out", what)
	}
	return text
}

// line reads what is no template and has one line.
func (r *reader) line(n *yaml.Node, what string) string {
	text := r.filled(n, what).Text
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.failf(n.Line, "%s has more than one line, or control characters: write it in one line", what)
	}
	return text
}

func (r *reader) words(n *yaml.Node, what string) []string {
	var all []string
	r.list(n, what, func(item *yaml.Node) { all = append(all, r.line(item, "an item of "+what)) })
	return all
}

// modulePattern is what modules of Python are called that are in no other.
var modulePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (r *reader) modules(n *yaml.Node) []string {
	names := r.words(n, "python")
	for i, name := range names {
		if name != "" && !modulePattern.MatchString(name) {
			r.failf(n.Content[i].Line, "python has %q: want the name of a module as after import, without a dot", name)
		}
	}
	return names
}

// namePattern is what recipes, ports and roles may be called.
var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (r *reader) name(n *yaml.Node, what string) string {
	faults := len(r.faults)
	name := r.line(n, what)
	if len(r.faults) == faults && !namePattern.MatchString(name) {
		r.failf(n.Line, "%s %q: want a small letter first, then small letters, digits and dashes, and no dash at the end", what, name)
	}
	return name
}

// number reads one from 1 to most.
func (r *reader) number(n *yaml.Node, what string, most int) int {
	if !r.is(n, yaml.ScalarNode, what) {
		return 0
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || i < 1 || i > most {
		r.failf(n.Line, "%s is %q: want a number from 1 to %d", what, n.Value, most)
	}
	return i
}

func (r *reader) yes(n *yaml.Node, what string) bool {
	if !r.is(n, yaml.ScalarNode, what) {
		return false
	}
	if n.Value != "true" && n.Value != "false" {
		r.failf(n.Line, "%s is %q: want true or false", what, n.Value)
	}
	return n.Value == "true"
}

// duration reads how long something may take.
func (r *reader) duration(n *yaml.Node, what string) time.Duration {
	if !r.is(n, yaml.ScalarNode, what) {
		return 0
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil || d <= 0 || d > 24*time.Hour {
		r.failf(n.Line, "%s is %q: want a time of at most 24h, with its unit, such as 90s or 2m", what, n.Value)
	}
	return d
}

// tlsKinds reads one kind, or a list of those that work, the usual one first.
func (r *reader) tlsKinds(n *yaml.Node, to *Recipe) {
	if n.Kind != yaml.SequenceNode {
		to.TLS = r.tls(n)
		return
	}
	r.list(n, "tls", func(item *yaml.Node) { to.TLSOnly = append(to.TLSOnly, r.tls(item)) })
	if len(to.TLSOnly) == 0 {
		r.failf(n.Line, "tls is empty: give it a value, or leave it out")
		return
	}
	to.TLS = to.TLSOnly[0]
}

func (r *reader) tls(n *yaml.Node) string {
	kind := r.line(n, "tls")
	if kind != "" && !slices.Contains([]string{TLSSelf, TLSCA, TLSNone}, kind) {
		r.failf(n.Line, "tls is %q: want %s, %s or %s", kind, TLSSelf, TLSCA, TLSNone)
	}
	return kind
}

func (r *reader) address(n *yaml.Node) string {
	address := r.line(n, "address")
	if address == "" {
		return ""
	}
	if _, err := ParseAddress(address); err != nil {
		r.failf(n.Line, "address is %q: %v", address, err)
	}
	return address
}

// ports reads a list of NAME or NAME=PORT.
func (r *reader) ports(n *yaml.Node) []Port {
	var ports []Port
	r.list(n, "ports", func(item *yaml.Node) {
		text := r.line(item, "a port")
		if text == "" {
			return
		}
		p, err := ParsePort(text)
		p.Line = item.Line
		if err == nil {
			err = p.CheckAmong(ports)
		}
		if err != nil {
			r.failf(item.Line, "%v", err)
			return
		}
		ports = append(ports, p)
	})
	if len(ports) > xlreg.MaxEndpoints {
		r.failf(n.Line, "%d ports: a member has at most %d", len(ports), xlreg.MaxEndpoints)
	}
	return ports
}

// command reads a list of arguments, the program first.
func (r *reader) command(n *yaml.Node) []Text {
	faults := len(r.faults)
	var args []Text
	r.list(n, "command", func(item *yaml.Node) { args = append(args, r.text(item, "an argument of command")) })
	if len(r.faults) == faults && (len(args) == 0 || args[0].Text == "") {
		r.failf(n.Line, "command is empty: name a program first, then its arguments")
	}
	return args
}

// variablePattern is what shells let a variable be called.
var variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (r *reader) variables(n *yaml.Node) []Variable {
	var all []Variable
	r.pairs(n, "env", func(key, value *yaml.Node) {
		if !variablePattern.MatchString(key.Value) {
			r.failf(key.Line, "%q is no name of a variable: want letters, digits and _, no digit first", key.Value)
			return
		}
		all = append(all, Variable{Name: key.Value, Value: r.text(value, "variable "+key.Value)})
	})
	return all
}

func (r *reader) files(n *yaml.Node) []File {
	var all []File
	r.pairs(n, "files", func(key, value *yaml.Node) {
		if why := badPath(key.Value); why != "" {
			r.failf(key.Line, "file %q %s", key.Value, why)
			return
		}
		all = append(all, File{Name: key.Value, Text: r.text(value, "file "+key.Value)})
	})
	return all
}

// badPath says why a file of that name would not be in the member's directory.
func badPath(name string) string {
	switch {
	case !filepath.IsLocal(name):
		return "is not in the member's directory: want a path below it, without .. and without / at its beginning"
	case filepath.Clean(name) != name || name == ".":
		return "has more in its path than it needs: write it as " + strconv.Quote(filepath.Clean(name))
	case strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return "has control characters in its name: leave them out"
	}
	return ""
}

func (r *reader) roles(n *yaml.Node) []Role {
	var all []Role
	r.list(n, "roles", func(item *yaml.Node) {
		faults := len(r.faults)
		role := Role{Members: Range{Line: item.Line}}
		known := r.what(&role.What)
		named, placed := false, false
		known["name"] = func(n *yaml.Node) { named, role.Name = true, r.name(n, "a role's name") }
		known["members"] = func(n *yaml.Node) { placed, role.Members = true, r.members(n) }
		r.mapping(item, "a role", known)
		if item.Kind == yaml.MappingNode && !(named && placed) {
			r.failf(item.Line, "a role wants a name, and members: which indexes have it, such as 0 or 1-")
		}
		if len(r.faults) == faults {
			r.addRole(&all, role)
		}
	})
	return all
}

func (r *reader) members(n *yaml.Node) Range {
	members := Range{Line: n.Line}
	if text := r.line(n, "members"); text != "" {
		parsed, err := ParseRange(text)
		if err != nil {
			r.failf(n.Line, "members: %v", err)
		}
		members.From, members.To = parsed.From, parsed.To
	}
	return members
}

func (r *reader) addRole(all *[]Role, role Role) {
	for _, o := range *all {
		if o.Members.overlaps(role.Members) {
			r.failf(role.Members.Line, "members %v of role %q are in role %q, too, in line %d: a member has one role", role.Members, role.Name, o.Name, o.Members.Line)
			return
		}
	}
	*all = append(*all, role)
}
