package launch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xlattice/xlreg/internal/recipe"
)

// Format is the way in which one kind of program is told of a cluster's members. NewFormat
// makes one.
type Format struct {
	Name  string
	About string // in one line
	write func(*Data) (string, error)
}

// general returns the formats that are about no single system.
func general() []Format {
	return []Format{
		{"env", "the variables of a launched program, for a shell", envFormat},
		{"hosts", "lines for /etc/hosts", hostsFormat},
		{"json", "the roster, as -o json", jsonFormat},
	}
}

// Formats returns the formats that every cluster has, sorted by name. Those of one system
// are in its recipe, in internal/recipe/builtin.
func Formats() []Format {
	all := general()
	for _, r := range recipe.Builtin() {
		if r.Format.Text != "" {
			all = append(all, recipeFormat(r))
		}
	}
	slices.SortFunc(all, func(a, b Format) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// FormatNames returns the names of Formats. It reads no recipe for that.
func FormatNames() []string {
	return slices.Sorted(slices.Values(append(namesOf(general()), recipe.WithFormat()...)))
}

func namesOf(formats []Format) []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.Name)
	}
	return names
}

// CheckFormat reports whether every cluster has a format of that name.
func CheckFormat(name string) error {
	_, err := findFormat(Formats(), name)
	return err
}

func findFormat(formats []Format, name string) (*Format, error) {
	for _, f := range formats {
		if f.Name == name {
			return &f, nil
		}
	}
	return nil, fmt.Errorf("no format %q: there are %s", name, strings.Join(namesOf(formats), ", "))
}

// NewFormat returns a format that says what a template does. In the template the names
// of ports stand for endpoints in their order, unless the cluster has ports of all these
// names itself.
func NewFormat(name, about string, ports []string, text Text) (Format, error) {
	t, err := ParseTemplate(text)
	if err != nil {
		return Format{}, err
	}
	return Format{name, about, func(d *Data) (string, error) { return t.expand(newFormatFunctions(d.withPorts(ports))) }}, nil
}

// AddFormat gives d a format that not every cluster has. It comes before one of the same
// name that every cluster has.
func (d *Data) AddFormat(f Format) { d.formats = append(d.formats, f) }

// Format returns the cluster in the format of that name: lines, each with its
// newline.
func (d *Data) Format(name string) (string, error) {
	f, err := findFormat(slices.Concat(d.formats, Formats()), name)
	if err != nil {
		return "", err
	}
	if f.write == nil {
		return "", fmt.Errorf("format %s: make it with NewFormat", name)
	}
	text, err := f.write(d)
	if err != nil {
		return "", fmt.Errorf("format %s: %w", name, err)
	}
	return text, nil
}

// lines is text made of lines.
type lines struct{ strings.Builder }

func (l *lines) addf(format string, args ...any) {
	fmt.Fprintf(l, format+"\n", args...)
}
