package launch

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Text is a template as somebody wrote it.
type Text struct {
	Where string // for errors: "argument 1", "--ready", or "redis.yaml:12", which is a file and its line
	Text  string
}

// EnvText is a variable of the environment, whose value is a template.
type EnvText struct {
	Name  string
	Value Text
}

// FileText is a file below a member's directory, whose content is a template.
type FileText struct {
	Name string // a path relative to the directory, with slashes
	Text Text
}

// Spec is what a program is told, as templates.
type Spec struct {
	Args  []Text // the program itself first
	Env   []EnvText
	Files []FileText
}

// Command is a Spec whose templates have been parsed. See docs/templates.md for what they can
// say.
type Command struct {
	args  []*Template
	env   []variable
	files []file
}

type variable struct {
	name  string
	value *Template
}

type file struct {
	name string
	text *Template
}

// Expanded is a Command for one member.
type Expanded struct {
	Args []string
	Env  []string          // NAME=value, to be added to the environment
	Made map[string]string // the files to be written for it: path → content
}

// ParseCommand reads a program's arguments, and variables in the form NAME=value.
// In both of them the values are templates.
func ParseCommand(args, env []string) (*Command, error) {
	var s Spec
	for i, text := range args {
		s.Args = append(s.Args, Text{fmt.Sprintf("argument %d", i), text})
	}
	for _, text := range env {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("variable %q: want NAME=VALUE", text)
		}
		s.Env = append(s.Env, EnvText{name, Text{"variable " + name, value}})
	}
	return ParseSpec(s)
}

// ParseSpec parses the templates of s.
func ParseSpec(s Spec) (*Command, error) {
	if len(s.Args) == 0 || s.Args[0].Text == "" {
		return nil, errors.New("no command")
	}
	c := new(Command)
	for _, text := range s.Args {
		t, err := ParseTemplate(text)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, t)
	}
	for _, v := range s.Env {
		if err := c.addVariable(v); err != nil {
			return nil, err
		}
	}
	for _, f := range s.Files {
		if err := c.addFile(f); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Command) addVariable(v EnvText) error {
	if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") {
		return fmt.Errorf("variable %q: want NAME=VALUE", v.Name+"="+v.Value.Text)
	}
	t, err := ParseTemplate(v.Value)
	if err != nil {
		return err
	}
	c.env = append(c.env, variable{v.Name, t})
	return nil
}

func (c *Command) addFile(f FileText) error {
	if err := CheckFileName(f.Name); err != nil {
		return fmt.Errorf("%s: %w", f.Text.Where, err)
	}
	name := filepath.Clean(filepath.FromSlash(f.Name))
	if slices.ContainsFunc(c.files, func(other file) bool { return other.name == name }) {
		return fmt.Errorf("%s: there are two files %q", f.Text.Where, name)
	}
	t, err := ParseTemplate(f.Text)
	if err != nil {
		return err
	}
	c.files = append(c.files, file{name, t})
	return nil
}

// CheckFileName reports whether a file of this name may be written for a program: it has to
// be below the member's directory, and none of the files that are there anyway.
func CheckFileName(name string) error {
	local := filepath.FromSlash(name)
	clean := filepath.Clean(local)
	switch {
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("file %q: has a zero byte", name)
	case !filepath.IsLocal(local) || clean == "." || slices.Contains(strings.Split(name, "/"), ".."):
		return fmt.Errorf("file %q: want a path below the member's directory", name)
	case strings.HasSuffix(name, "/"):
		return fmt.Errorf("file %q: is a directory", name)
	}
	first, _, _ := strings.Cut(clean, string(filepath.Separator))
	for _, own := range ownFiles() {
		if strings.EqualFold(first, own) { // some systems do not tell case
			return fmt.Errorf("file %q: %s is written by xlreg itself: choose another name", name, own)
		}
	}
	return nil
}

// Expand returns the command as d's member is to run it.
func (c *Command) Expand(d *Data) (*Expanded, error) {
	f := newFunctions(d)
	var x Expanded
	for _, a := range c.args {
		text, err := a.expand(f)
		if err != nil {
			return nil, err
		}
		x.Args = append(x.Args, splitArgs(text)...)
	}
	for _, v := range c.env {
		text, err := v.value.expand(f)
		if err != nil {
			return nil, err
		}
		x.Env = append(x.Env, v.name+"="+inOneLine(text))
	}
	if err := c.expandFiles(f); err != nil {
		return nil, err
	}
	x.Made = f.made
	if len(x.Args) == 0 || x.Args[0] == "" {
		return nil, fmt.Errorf("%q expands to no command", c.args[0].text.Text)
	}
	return &x, nil
}

// expandFiles adds the command's files to those that were made for its arguments.
func (c *Command) expandFiles(f *functions) error {
	texts := make(map[string]string, len(c.files))
	for _, file := range c.files {
		text, err := file.text.expand(f)
		if err != nil {
			return err
		}
		texts[filepath.Join(f.d.Dir, file.name)] = strings.ReplaceAll(text, argsEnd, "\n")
	}
	for _, file := range c.files {
		path := filepath.Join(f.d.Dir, file.name)
		if _, made := f.made[path]; made {
			return fmt.Errorf("%s: {{file}} writes a file of the same name, %s", file.text.text.Where, file.name)
		}
		f.made[path] = texts[path]
	}
	return nil
}

// splitArgs returns the arguments that one has become. One that is empty stays
// one; one that is a call of args and nothing else is as many as that returned.
func splitArgs(text string) []string {
	if !strings.Contains(text, argsEnd) {
		return []string{text}
	}
	return slices.DeleteFunc(strings.Split(text, argsEnd), func(s string) bool { return s == "" })
}

// inOneLine returns what args has returned, where it is not an argument.
func inOneLine(text string) string { return strings.ReplaceAll(text, argsEnd, " ") }

// Program returns the program that is to run, and false if a template decides on
// it.
func (c *Command) Program() (string, bool) {
	text := c.args[0].text.Text
	return text, !strings.Contains(text, "{{")
}

// KeyStores reports whether a template names a file that FileOptions.KeyStores asks for.
func (c *Command) KeyStores() bool {
	return slices.ContainsFunc(c.args, (*Template).KeyStores) ||
		slices.ContainsFunc(c.env, func(v variable) bool { return v.value.KeyStores() }) ||
		slices.ContainsFunc(c.files, func(f file) bool { return f.text.KeyStores() })
}
