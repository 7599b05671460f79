package launch

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// Command is a program's arguments, the program itself first, and what it finds
// in its environment besides, as templates. See docs/launch.md for what they can
// say.
type Command struct {
	args []argument
	env  []variable
}

type argument struct {
	text string
	tmpl *template.Template
}

type variable struct {
	name  string
	value argument
}

// Expanded is a Command for one member.
type Expanded struct {
	Args []string
	Env  []string          // NAME=value, to be added to the environment
	Made map[string]string // files that the arguments name: path → content
}

// argsEnd ends each argument that the function args returns. No argument can hold
// it, since none can for the system.
const argsEnd = "\x00"

// ParseCommand reads a program's arguments, and variables in the form NAME=value.
// In both of them the values are templates.
func ParseCommand(args, env []string) (*Command, error) {
	if len(args) == 0 || args[0] == "" {
		return nil, errors.New("no command")
	}
	c := new(Command)
	for i, text := range args {
		a, err := parseArgument(fmt.Sprintf("argument %d", i), text)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, a)
	}
	for _, text := range env {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("variable %q: want NAME=VALUE", text)
		}
		a, err := parseArgument("variable "+name, value)
		if err != nil {
			return nil, err
		}
		c.env = append(c.env, variable{name, a})
	}
	return c, nil
}

func parseArgument(what, text string) (argument, error) {
	if strings.Contains(text, argsEnd) {
		return argument{}, fmt.Errorf("%s: has a zero byte", what)
	}
	// The functions are bound to a cluster later; here only their names count.
	tmpl, err := template.New(what).Option("missingkey=error").Funcs(newFunctions(nil).table()).Parse(text)
	if err != nil {
		return argument{}, fmt.Errorf("%s %q: %w", what, text, reason(err))
	}
	return argument{text, tmpl}, nil
}

// templateError is an error of text/template, in fewer words.
type templateError struct {
	text  string
	cause error
}

func (e *templateError) Error() string { return e.text }
func (e *templateError) Unwrap() error { return e.cause }

// reason is err without the words that text/template puts before it.
func reason(err error) error {
	text := strings.TrimPrefix(err.Error(), "template: ")
	if _, after, ok := strings.Cut(text, ": executing "); ok {
		_, after, _ = strings.Cut(after, " at ")
		return &templateError{"at " + after, err}
	}
	if _, after, ok := strings.Cut(text, ": "); ok {
		text = after
	}
	return &templateError{text, err}
}

// Expand returns the command as d's member is to run it.
func (c *Command) Expand(d *Data) (*Expanded, error) {
	f := newFunctions(d)
	var x Expanded
	for i, a := range c.args {
		text, err := a.expand(fmt.Sprintf("argument %d", i), d, f)
		if err != nil {
			return nil, err
		}
		x.Args = append(x.Args, splitArgs(text)...)
	}
	for _, v := range c.env {
		text, err := v.value.expand("variable "+v.name, d, f)
		if err != nil {
			return nil, err
		}
		x.Env = append(x.Env, v.name+"="+strings.ReplaceAll(text, argsEnd, " "))
	}
	x.Made = f.made
	if len(x.Args) == 0 || x.Args[0] == "" {
		return nil, fmt.Errorf("%q expands to no command", c.args[0].text)
	}
	return &x, nil
}

func (a *argument) expand(what string, d *Data, f *functions) (string, error) {
	tmpl, err := a.tmpl.Clone()
	if err != nil {
		return "", fmt.Errorf("%s %q: %w", what, a.text, err)
	}
	var b strings.Builder
	if err := tmpl.Funcs(f.table()).Execute(&b, d); err != nil {
		return "", fmt.Errorf("%s %q: %w", what, a.text, reason(err))
	}
	return b.String(), nil
}

// splitArgs returns the arguments that one has become. One that is empty stays
// one; one that is a call of args and nothing else is as many as that returned.
func splitArgs(text string) []string {
	if !strings.Contains(text, argsEnd) {
		return []string{text}
	}
	return slices.DeleteFunc(strings.Split(text, argsEnd), func(s string) bool { return s == "" })
}

// Program returns the program that is to run, and false if a template decides on
// it.
func (c *Command) Program() (string, bool) {
	text := c.args[0].text
	return text, !strings.Contains(text, "{{")
}

// functions are those that a template may call, bound to one cluster.
type functions struct {
	d    *Data
	made map[string]string
}

func newFunctions(d *Data) *functions {
	return &functions{d: d, made: make(map[string]string)}
}

func (f *functions) table() template.FuncMap {
	return template.FuncMap{
		"join":      joinList,
		"endpoints": f.endpoints,
		"labelled":  f.labelled,
		"listen":    func(n int) (Endpoint, error) { return f.d.ListenOn(n) },
		"format":    f.format,
		"args":      f.args,
		"file":      f.file,
	}
}

// joinList is {{join LIST SEPARATOR}}.
func joinList(list any, separator string) (string, error) {
	var parts []string
	switch l := list.(type) {
	case []string:
		parts = l
	case []Endpoint:
		for _, e := range l {
			parts = append(parts, string(e))
		}
	case []*MemberData:
		for _, m := range l {
			parts = append(parts, m.Name)
		}
	default:
		return "", fmt.Errorf("join: %T is no list of members, endpoints or words", list)
	}
	return strings.Join(parts, separator), nil
}

// endpoints is {{endpoints N}}: the Nth endpoint of each member.
func (f *functions) endpoints(n int) ([]Endpoint, error) { return f.d.endpoints(n) }

func (d *Data) endpoints(n int) ([]Endpoint, error) {
	var list []Endpoint
	for _, m := range d.Members {
		e, err := m.Endpoint(n)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// labelled is {{labelled KEY VALUE}}: the members that have that label. Those of a sample,
// whose labels nobody knows, all have it.
func (f *functions) labelled(key, value string) []*MemberData {
	var list []*MemberData
	for _, m := range f.d.Members {
		if m.Label(key) == value || f.d.roster == nil {
			list = append(list, m)
		}
	}
	return list
}

// format is {{format NAME}}: what the format has to say, without its last newline.
func (f *functions) format(name string) (string, error) {
	text, err := f.d.Format(name)
	return strings.TrimSuffix(text, "\n"), err
}

// args is {{args NAME}}: each line of the format as an argument of its own.
func (f *functions) args(name string) (string, error) {
	text, err := f.format(name)
	return strings.ReplaceAll(text, "\n", argsEnd) + argsEnd, err
}

// file is {{file NAME}}: the path of a file with what the format has to say.
func (f *functions) file(name string) (string, error) {
	text, err := f.d.Format(name)
	path := filepath.Join(f.d.Dir, name+".conf")
	f.made[path] = text
	return path, err
}
