// Package vectors holds the test vectors of docs/protocol.md, embedded so that no
// test can pass by finding none. README.md says what the files mean.
package vectors

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:generate go run ./gen

//go:embed */*.json keys/*.pem index.json README.md
var files embed.FS

// Files returns the folder itself, as it was when the program was built.
func Files() fs.FS { return files }

// The layers at which a vector ends.
const (
	Success   = "success"   // nothing is wrong
	Frame     = "frame"     // the bytes make no message
	Handshake = "handshake" // no session comes about
	Auth      = "auth"      // a proof does not hold
	Message   = "message"   // the content breaks a form or a limit
	Rule      = "rule"      // well formed and proven, and still not allowed
)

// Vector is one scenario.
type Vector struct {
	Name  string          `json:"vector"` // class/scenario
	About string          `json:"about"`
	Layer string          `json:"layer"`
	Input json.RawMessage `json:"input"`
	Want  json.RawMessage `json:"want"`
}

// Index says how many vectors there are.
type Index struct {
	Total   int            `json:"total"`
	Classes map[string]int `json:"classes"`
}

// ReadIndex reads index.json.
func ReadIndex() (Index, error) {
	var index Index
	err := readJSON("index.json", &index)
	return index, err
}

// Class returns the vectors of one class, which are as many as the index says.
func Class(class string) ([]Vector, error) {
	index, err := ReadIndex()
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, class+"/*.json")
	if err != nil {
		return nil, fmt.Errorf("list vectors %s: %w", class, err)
	}
	if len(names) == 0 || len(names) != index.Classes[class] {
		return nil, fmt.Errorf("class %s has %d vectors, want %d", class, len(names), index.Classes[class])
	}
	vectors := make([]Vector, len(names))
	for i, name := range names {
		if err := readJSON(name, &vectors[i]); err != nil {
			return nil, err
		}
		if got := vectors[i].Name + path.Ext(name); got != name {
			return nil, fmt.Errorf("vector %s calls itself %s", name, got)
		}
	}
	return vectors, nil
}

// Scenario returns the part of the name behind the class.
func (v *Vector) Scenario() string { return strings.TrimPrefix(v.Name, path.Dir(v.Name)+"/") }

// Decode fills input and want from the vector; either may be nil. A member that
// the target does not know is an error, so that none is left unlooked at.
func (v *Vector) Decode(input, want any) error {
	if err := decode(v.Input, input); err != nil {
		return fmt.Errorf("vector %s: input: %w", v.Name, err)
	}
	if err := decode(v.Want, want); err != nil {
		return fmt.Errorf("vector %s: want: %w", v.Name, err)
	}
	return nil
}

// Key returns the private key with that name, in PEM.
func Key(name string) ([]byte, error) { return files.ReadFile("keys/" + name + ".pem") }

func readJSON(name string, into any) error {
	data, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	if err := decode(data, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func decode(data []byte, into any) error {
	if into == nil || len(data) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// Hex is some bytes that stand in a vector as hex digits.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Refusal is what a peer is answered with when a vector ends in an error.
type Refusal struct {
	Error WireError `json:"error"`
}

// WireError is an Error as it travels.
type WireError struct {
	Code int    `json:"code"`
	Text string `json:"text"`
}
