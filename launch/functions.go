package launch

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"
)

// lookupTime bounds {{lookup HOST}}.
const lookupTime = 5 * time.Second

// functions are those that a template may call, bound to one cluster.
type functions struct {
	d        *Data
	made     map[string]string
	inFormat bool
}

func newFunctions(d *Data) *functions {
	return &functions{d: d, made: make(map[string]string)}
}

// newFormatFunctions returns those for the template of a format.
func newFormatFunctions(d *Data) *functions {
	return &functions{d: d, inFormat: true}
}

func (f *functions) table() template.FuncMap {
	return template.FuncMap{
		"join":      joinList,
		"endpoints": f.endpoints,
		"labelled":  f.labelled,
		"listen":    func(port any) (Endpoint, error) { return f.d.ListenOn(port) },
		"format":    f.format,
		"args":      f.args,
		"file":      f.file,
		"add":       add,
		"base64":    encodeBase64,
		"json":      encodeJSON,
		"toYaml":    encodeYAML,
		"secret":    func(name string) (string, error) { return f.d.SecretOf(name) },
		"env":       env,
		"lookup":    f.lookup,
		"address":   addressOf,
		"quote":     quoteText,
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

// endpoints is {{endpoints PORT}}: this endpoint of each member.
func (f *functions) endpoints(port any) ([]Endpoint, error) { return f.d.endpoints(port) }

func (d *Data) endpoints(port any) ([]Endpoint, error) {
	n, err := d.portIndex(port)
	if err != nil {
		return nil, err
	}
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

// labelled is {{labelled KEY VALUE}}: the members that have that label. In a sample whose
// labels nobody knows, all have it.
func (f *functions) labelled(key, value string) []*MemberData {
	unknown := f.d.sample && (key != RoleLabel || !f.d.labels)
	var list []*MemberData
	for _, m := range f.d.Members {
		if unknown || m.Label(key) == value {
			list = append(list, m)
		}
	}
	return list
}

// format is {{format NAME}}: what the format has to say, without its last newline.
func (f *functions) format(name string) (string, error) {
	text, err := f.write(name)
	return strings.TrimSuffix(text, "\n"), err
}

// args is {{args NAME}}: each line of the format as an argument of its own.
func (f *functions) args(name string) (string, error) {
	text, err := f.format(name)
	return strings.ReplaceAll(text, "\n", argsEnd) + argsEnd, err
}

// file is {{file NAME}}: the path of a file with what the format has to say.
func (f *functions) file(name string) (string, error) {
	text, err := f.write(name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(f.d.Dir, name+".conf")
	f.made[path] = text
	return path, nil
}

// write returns what a format has to say. A format that says what another one does could
// be that other one, and would never come to an end.
func (f *functions) write(name string) (string, error) {
	if f.inFormat {
		return "", errors.New("a format cannot be made of formats: write out what it has to say")
	}
	return f.d.Format(name)
}

// addressOf is {{address ENDPOINT}}: the endpoint's host if that is an address, and nothing if
// it is a name.
func addressOf(e Endpoint) string {
	if _, ok := e.Addr(); !ok {
		return ""
	}
	return e.Host()
}

// quoteText is {{quote TEXT}}: the text as one word for a shell.
func quoteText(text any) (string, error) {
	s, err := textOf(text)
	return Quote(s), err
}

// textOf takes addresses, too, which are texts of a type of their own.
func textOf(text any) (string, error) {
	v := reflect.ValueOf(text)
	if v.Kind() != reflect.String {
		return "", fmt.Errorf("%T is no text", text)
	}
	return v.String(), nil
}

// add is {{add N …}}.
func add(numbers ...int) int {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	return sum
}

// encodeBase64 is {{base64 TEXT}}.
func encodeBase64(text any) (string, error) {
	s, err := textOf(text)
	return base64.StdEncoding.EncodeToString([]byte(s)), err
}

// encodeJSON is {{json VALUE}}: the value in one line.
func encodeJSON(value any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it would not be wrong, but nobody expects it in a configuration
	err := e.Encode(value)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// encodeYAML is {{toYaml VALUE}}.
func encodeYAML(value any) (string, error) {
	text, err := yaml.Marshal(value)
	return strings.TrimSuffix(string(text), "\n"), err
}

// env is {{env NAME}}: a variable of the environment that xlreg itself has.
func env(name string) (string, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("%s is not set in the environment of xlreg", name)
	}
	return value, nil
}

// lookup is {{lookup HOST}}: the host's address, for programs that take no names. Of an
// endpoint it is the endpoint at that address.
func (f *functions) lookup(host any) (any, error) {
	e, isEndpoint := host.(Endpoint)
	if !isEndpoint {
		name, err := textOf(host)
		if err != nil {
			return nil, err
		}
		return f.addressOfHost(name)
	}
	address, err := f.addressOfHost(e.Host())
	return Endpoint(net.JoinHostPort(address, strconv.Itoa(e.Port()))), err
}

// addressOfHost returns a host's address. Of several it is always the same one, IPv4 if there is
// any. A sample asks nobody.
func (f *functions) addressOfHost(host string) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return a.String(), nil
	}
	if f.d.sample {
		return sampleAddress, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("lookup %s: no address", host)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return slices.MinFunc(found, netip.Addr.Compare).String(), nil // IPv4 compares as less
}
