package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/xlattice/xlreg"
)

// WriteJSON writes v indented, and as it is: nothing is escaped for HTML.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Field is one line of a description: a name and a value.
type Field [2]string

// WriteFields writes a description, its values below each other.
func WriteFields(w io.Writer, fields []Field) error {
	table := newTable(w)
	for _, f := range fields {
		fmt.Fprintf(table, "%s\t%s\n", f[0], f[1])
	}
	return table.Flush()
}

// Fields describes the cluster for people.
func (c *Cluster) Fields() []Field {
	fields := []Field{
		{"name", string(c.Name)}, {"id", c.ID},
		{"size", fmt.Sprint(c.Size)}, {"endpoints", fmt.Sprint(c.EndpointCount)},
		{"attrs", fmt.Sprintf("%#x", uint64(c.Attrs))},
	}
	if c.Key != "" {
		fields = append(fields, Field{"key", c.Key})
	}
	return fields
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// ShortID is enough of an ID to tell it from others by eye.
func ShortID(id fmt.Stringer) string {
	const enough = 12
	text := id.String()
	if len(text) <= enough {
		return text
	}
	return text[:enough] + "…"
}

// CountMembers says how many members of how many there are. Original servers tell a
// cluster's size only to nodes that create or join it; then it is 0 here.
func CountMembers(n, size int) string {
	if size == 0 {
		return fmt.Sprintf("%d members", n)
	}
	return fmt.Sprintf("%d of %d members", n, size)
}

// Endpoints returns a list as one word, "-" if it is empty.
func Endpoints(list []xlreg.Endpoint) string {
	if len(list) == 0 {
		return "-"
	}
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = string(e)
	}
	return strings.Join(parts, ",")
}
