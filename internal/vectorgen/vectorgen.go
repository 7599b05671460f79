// Package vectorgen makes the files under docs/vectors. It shares no code with
// the packages that the vectors test, so that a vector is a second opinion on
// docs/protocol.md, and it uses no randomness but a fixed one, so that the files
// come out the same each time.
package vectorgen

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"path"
)

// recorded holds sessions between original programs and the throw-away keys of
// their servers, as they were recorded.
//
//go:embed recorded/*
var recorded embed.FS

// The layers at which a vector ends.
const (
	success   = "success"
	frame     = "frame"
	handshake = "handshake"
	auth      = "auth"
	message   = "message"
	rule      = "rule"
)

// vector is one file.
type vector struct {
	Vector string `json:"vector"`
	About  string `json:"about"`
	Layer  string `json:"layer"`
	Input  any    `json:"input"`
	Want   any    `json:"want,omitempty"`
}

// maker collects the files. After a failure it does nothing more.
type maker struct {
	*keys
	files  map[string][]byte
	counts map[string]int
	err    error
}

// Generate returns every file that is generated, by its path below docs/vectors.
func Generate() (map[string][]byte, error) {
	keys, err := makeKeys()
	if err != nil {
		return nil, err
	}
	files, err := keys.pem()
	if err != nil {
		return nil, fmt.Errorf("encode keys: %w", err)
	}
	m := &maker{keys: keys, files: files, counts: make(map[string]int)}
	for _, class := range []func(){
		m.texts, m.publicKeys, m.fingerprints, m.urls, m.regCreds,
		m.detects, m.hellos, m.helloReplies, m.classics, m.frames, m.serverChains,
		m.messages, m.tokens, m.rosters, m.logins, m.certificates, m.recordings,
		m.labels, m.owners, m.admissions, m.sets, m.tickets, m.sums, m.signeds, m.saveds,
	} {
		class()
	}
	m.index()
	return m.files, m.err
}

// add makes one file. The name is class/scenario.
func (m *maker) add(name, layer, about string, input, want any) {
	if _, taken := m.files[name+".json"]; taken {
		m.fail(fmt.Errorf("vector %s is made twice", name))
	}
	m.counts[path.Dir(name)]++
	m.write(name+".json", vector{Vector: name, About: about, Layer: layer, Input: input, Want: want})
}

// index says how many files there are, so that whoever runs them can tell that
// none is missing.
func (m *maker) index() {
	total := 0
	for _, n := range m.counts {
		total += n
	}
	m.write("index.json", fields{"total": total, "classes": m.counts})
}

func (m *maker) write(name string, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	m.fail(enc.Encode(v))
	m.files[name] = b.Bytes()
}

func (m *maker) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// refused is what a peer answers with.
func refused(code int, text string) fields {
	return fields{"error": fields{"code": code, "text": text}}
}

func illFormedToken() fields { return refused(11, "ill-formed token") }
func badSignature() fields   { return refused(12, "signature does not verify") }
func protocolError() fields  { return refused(19, "protocol error") }
