package launch

import (
	"fmt"
	"strings"
)

// Format is the way in which one kind of program is told of a cluster's members.
type Format struct {
	Name  string
	About string // in one line
	write func(*Data) (string, error)
}

// Formats returns all formats there are. A new one is a file like
// format_hosts.go, a line here and a golden file.
func Formats() []Format {
	return []Format{
		{"consul", "flags for consul: retry-join", consulFormat},
		{"env", "the variables of a launched program, for a shell", envFormat},
		{"etcd", "flags for etcd, with mutual TLS; needs two endpoints of each member", etcdFormat},
		{"hosts", "lines for /etc/hosts", hostsFormat},
		{"json", "the roster, as -o json", jsonFormat},
		{"nats", "a configuration file for nats-server, with mutual TLS; needs two endpoints", natsFormat},
		{"torchrun", "the variables that torch.distributed wants", torchrunFormat},
	}
}

// FormatNames returns the names of all formats.
func FormatNames() []string {
	var names []string
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return names
}

// CheckFormat reports whether there is a format of that name.
func CheckFormat(name string) error {
	_, err := findFormat(name)
	return err
}

func findFormat(name string) (*Format, error) {
	for _, f := range Formats() {
		if f.Name == name {
			return &f, nil
		}
	}
	return nil, fmt.Errorf("no format %q: there are %s", name, strings.Join(FormatNames(), ", "))
}

// Format returns the cluster in the format of that name: lines, each with its
// newline.
func (d *Data) Format(name string) (string, error) {
	f, err := findFormat(name)
	if err != nil {
		return "", err
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
