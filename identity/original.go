package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// ErrNoOriginal says that a directory is not one of the original programs.
var ErrNoOriginal = errors.New("no node.config, cluster.member.config or reg.config of an original program here")

// Original is what a node or a registry of 2014-2018 kept of itself.
type Original struct {
	Name      xlreg.Name
	ID        xlreg.NodeID
	Endpoints []xlreg.Endpoint
	Keys      *keys.Set
}

// The directory of the original programs, and their files in it: that of a registry, that
// of a node, and that of a member, which has the node in it.
const originalDir = ".xlattice"

func originalFiles() []string {
	return []string{"reg.config", "node.config", "cluster.member.config"}
}

// ReadOriginal reads what an original program kept in dir, which is its .xlattice
// directory or the one above that. Nothing is written there.
func ReadOriginal(dir string) (*Original, error) {
	path, err := findOriginal(dir)
	if err != nil {
		return nil, err
	}
	data, err := readFile(path, 0o077)
	if err != nil {
		return nil, err
	}
	o, err := parseOriginal(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

func findOriginal(dir string) (string, error) {
	for _, parent := range []string{dir, filepath.Join(dir, originalDir)} {
		for _, file := range originalFiles() {
			path := filepath.Join(parent, file)
			_, err := os.Stat(path)
			if err == nil {
				return path, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
	}
	return "", fmt.Errorf("%s: %w", dir, ErrNoOriginal)
}

// originalFile is one reading of such a file: lines of "key: value", blocks in braces, and
// keys in PEM that begin on the line of their key. The file of a registry or a member
// begins with a node; what that says counts, although the rest repeats some of it.
type originalFile struct {
	lines []string
	at    int
	text  map[string]string // of "key: value", and the PEM of keys
	ends  []string          // of the node itself
}

func parseOriginal(data string) (*Original, error) {
	p := &originalFile{lines: strings.Split(data, "\n"), text: make(map[string]string)}
	if err := p.blocks(); err != nil {
		return nil, err
	}
	o := new(Original)
	var err error
	if o.Name, err = xlreg.ParseName(p.text["name"]); err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	if o.ID, err = xlreg.ParseNodeID(p.text["nodeID"]); err != nil {
		return nil, fmt.Errorf("nodeID: %w", err)
	}
	if o.Endpoints, err = p.endpoints(); err != nil {
		return nil, err
	}
	o.Keys, err = p.keys()
	return o, err
}

// blocks goes through the file and keeps what is the node's own.
func (p *originalFile) blocks() error {
	var open []string // the names of the blocks around the line
	for p.at < len(p.lines) {
		line := strings.TrimSpace(p.lines[p.at])
		p.at++
		key, value, isField := strings.Cut(line, ": ")
		switch {
		case line == "}" && len(open) == 0:
			return fmt.Errorf("line %d: a block is closed that was not opened", p.at)
		case line == "}":
			open = open[:len(open)-1]
		case strings.HasSuffix(line, " {"):
			open = append(open, strings.TrimSuffix(line, " {"))
		case slices.ContainsFunc(open, isOthers), !isField:
		case slices.Contains(open, "endPoints"):
			p.ends = append(p.ends, line)
		default:
			p.field(key, value)
		}
	}
	if len(open) > 0 || p.text["nodeID"] == "" {
		return errors.New("not the whole description of a node")
	}
	return nil
}

// isOthers reports whether a block says nothing about the node itself.
func isOthers(block string) bool {
	return block == "peers" || block == "overlays" || block == "members"
}

// field keeps a field, and with it the lines of the key that begins on it.
func (p *originalFile) field(key, value string) {
	var body []string
	if label, isPEM := strings.CutPrefix(value, "-----BEGIN "); isPEM {
		end := "-----END " + label
		for p.at < len(p.lines) && strings.TrimSpace(p.lines[p.at]) != end {
			body = append(body, strings.TrimSpace(p.lines[p.at]))
			p.at++
		}
		p.at++
		value = strings.Join(body, "\n")
	}
	if _, known := p.text[key]; !known {
		p.text[key] = value
	}
}

func (p *originalFile) endpoints() ([]xlreg.Endpoint, error) {
	var all []xlreg.Endpoint
	for _, line := range p.ends {
		text, ok := strings.CutPrefix(line, "TcpEndPoint: ")
		if !ok {
			return nil, fmt.Errorf("endPoints: %.60q: want a TcpEndPoint", line)
		}
		e, err := xlreg.ParseEndpoint(text)
		if err != nil {
			return nil, fmt.Errorf("endPoints: %w", err)
		}
		all = append(all, e)
	}
	return all, xlreg.ValidateEndpoints(all)
}

// keys reads the private keys, whose PEM has no label, and holds them against the public
// ones beside them.
func (p *originalFile) keys() (*keys.Set, error) {
	comms, err := p.key("ckPriv")
	if err != nil {
		return nil, err
	}
	sig, err := p.key("skPriv")
	if err != nil {
		return nil, err
	}
	set, err := keys.NewSet(comms, sig)
	if err != nil {
		return nil, err
	}
	for field, key := range map[string]string{"commsPubKey": string(set.CommsKey), "sigPubKey": string(set.SigKey)} {
		public, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(p.text[field], "\n", ""))
		if err != nil || string(public) != key {
			return nil, fmt.Errorf("%s: does not belong to the private key", field)
		}
	}
	return set, nil
}

func (p *originalFile) key(field string) (keys.Private, error) {
	body := p.text[field]
	if body == "" {
		return nil, fmt.Errorf("%s: no key", field)
	}
	key, err := keys.ParsePrivate([]byte("-----BEGIN RSA PRIVATE KEY-----\n" + body + "\n-----END RSA PRIVATE KEY-----\n"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return key, nil
}
