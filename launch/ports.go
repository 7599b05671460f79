package launch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ClientPort is the name of the port for clients of the cluster, by convention.
const ClientPort = "client"

// CheckPortName reports whether name can be that of a port: lower-case letters, digits and
// dashes, and a letter first, so that a name is never taken for an index.
func CheckPortName(name string) error {
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return fmt.Errorf("port name %q: want lower-case letters, digits and dashes, beginning with a letter", name)
		}
	}
	if name == "" || strings.HasSuffix(name, "-") {
		return fmt.Errorf("port name %q: want a letter or a digit at the end", name)
	}
	return nil
}

// CheckPortNames reports whether all of the names can be those of ports, and no two are
// the same.
func CheckPortNames(names []string) error {
	for i, name := range names {
		if err := CheckPortName(name); err != nil {
			return err
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("two ports are named %q", name)
		}
	}
	return nil
}

// ClientPort returns the index of the endpoint that is meant for clients of the cluster: the
// one named client, or else the second one, or else the only one.
func (d *Data) ClientPort() int {
	if n := slices.Index(d.PortNames, ClientPort); n >= 0 {
		return n
	}
	if d.Self != nil && len(d.Self.Endpoints) < 2 {
		return 0
	}
	return 1
}

// portIndex returns the index of a port that is given as a name or an index. A nil d has no
// names.
func (d *Data) portIndex(port any) (int, error) {
	switch p := port.(type) {
	case int:
		return p, nil
	case string:
		return d.namedPort(p)
	}
	return 0, fmt.Errorf("port %v: want a name or an index", port)
}

func (d *Data) namedPort(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	if d == nil || len(d.PortNames) == 0 {
		return 0, fmt.Errorf("no port is named %q: name the ports with --ports, as in --ports peer,%s", name, ClientPort)
	}
	if n := slices.Index(d.PortNames, name); n >= 0 {
		return n, nil
	}
	return 0, fmt.Errorf("no port is named %q: there are %s", name, strings.Join(d.PortNames, ", "))
}
