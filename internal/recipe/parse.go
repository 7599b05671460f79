package recipe

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a recipe may measure. The library reads every document to its end before it
// returns, so that the bounds have to be there before.
const (
	MaxSize  = 64 << 10 // bytes
	MaxLines = 2000
)

// Parse reads a recipe. What is wrong with it is an error of type Faults, in which file
// is what the recipe is called.
func Parse(file string, data []byte) (*Recipe, error) {
	r := &reader{file: file}
	recipe := &Recipe{File: file}
	if root := r.document(data); root != nil {
		r.recipe(root, recipe)
	}
	if len(r.faults) == 0 {
		return recipe, nil
	}
	slices.SortStableFunc(r.faults, func(a, b *Fault) int { return cmp.Compare(a.Line, b.Line) })
	return nil, r.faults
}

// reader reads one recipe, and keeps what is wrong with it.
type reader struct {
	file   string
	faults Faults
}

func (r *reader) failf(line int, format string, args ...any) {
	r.faults = append(r.faults, &Fault{File: r.file, Line: line, Text: fmt.Sprintf(format, args...)})
}

// document returns the root of the only document in data.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > MaxSize {
		r.failf(1, "a recipe has at most %d bytes, and this file has more: see that it is one", MaxSize)
		return nil
	}
	if bytes.Count(data, []byte("\n")) > MaxLines {
		r.failf(MaxLines+1, "a recipe has at most %d lines: see that this is one", MaxLines)
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.failf(1, "the recipe is empty: begin with its name")
		return nil
	case err != nil:
		r.notYAML(data, err)
		return nil
	}
	switch err := d.Decode(&next); {
	case err == nil:
		r.failf(next.Line, "a second document: write each recipe in a file of its own")
		return nil
	case !errors.Is(err, io.EOF):
		r.notYAML(data, err)
		return nil
	}
	return doc.Content[0]
}

// What is read at most to find the line of a fault, in bytes, and what a try counts besides.
const (
	mostTried = 1 << 20
	eachTry   = 4 << 10
)

// notYAML tells of a document that the library cannot read. It does not always say in
// which line that is, and sometimes one beside it: to blame is the line that comes after
// the longest beginning of the document that can be read. In a file so large that this
// would take long, what the library says has to do.
func (r *reader) notYAML(data []byte, cause error) {
	line, text := said(cause)
	lines, left := bytes.SplitAfter(data, []byte("\n")), mostTried
	for good := len(lines) - 1; good >= 0 && left > 0; good-- {
		beginning := bytes.Join(lines[:good], nil)
		if isYAML(beginning) {
			line = good + 1
			break
		}
		left -= len(beginning) + eachTry
	}
	r.failf(line, "not YAML: %s: indent with spaces, and put quotes around a value with ': ' or ' #', or one that begins with a special character", text)
}

// said returns the line and the text of one of the library's errors.
func said(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	number, after, _ := strings.Cut(strings.TrimPrefix(text, "line "), ": ")
	if n, err := strconv.Atoi(number); err == nil {
		return max(n, 1), after
	}
	return 1, text
}

func isYAML(data []byte) bool {
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := d.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// fields are what a mapping may have, each with what reads it.
type fields map[string]func(*yaml.Node)

// mapping reads n, which is the value of what.
func (r *reader) mapping(n *yaml.Node, what string, known fields) {
	r.pairs(n, what, func(key, value *yaml.Node) {
		read, ok := known[key.Value]
		if !ok {
			r.failf(key.Line, "%s has no field %q: there are %s", what, key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			return
		}
		read(value)
	})
}

// pairs calls each for what the mapping n has, in the order of the file.
func (r *reader) pairs(n *yaml.Node, what string, each func(key, value *yaml.Node)) {
	if !r.is(n, yaml.MappingNode, what) {
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !r.is(key, yaml.ScalarNode, "a field's name") {
			continue
		}
		if line, ok := seen[key.Value]; ok {
			r.failf(key.Line, "%s has %q a second time, after line %d: remove one", what, key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		each(key, n.Content[i+1])
	}
}

// list calls each for the items of n.
func (r *reader) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	if !r.is(n, yaml.SequenceNode, what) {
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

// is reports whether n is of that kind, and nothing that a recipe has no use for.
func (r *reader) is(n *yaml.Node, kind yaml.Kind, what string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge":
		r.failf(n.Line, "%s: a recipe has no anchors, aliases and merges: write it out, or put quotes around a text that begins with & or *", what)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.failf(n.Line, "%s: a recipe has no tags: put quotes around a text that begins with !", what)
		return false
	case n.Kind == kind:
		return true
	case n.Tag == "!!null":
		r.failf(n.Line, "%s is empty: give it a value, or leave it out", what)
		return false
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && kind == yaml.ScalarNode:
		r.failf(n.Line, "%s is a mapping, and a text is wanted: put quotes around a template that begins with {{", what)
		return false
	}
	r.failf(n.Line, "%s is %s, and %s is wanted", what, kindNames[n.Kind], kindNames[kind])
	return false
}

var kindNames = map[yaml.Kind]string{
	yaml.MappingNode:  "a mapping",
	yaml.SequenceNode: "a list",
	yaml.ScalarNode:   "one value",
}
