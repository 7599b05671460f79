package launch

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

// Template is a text that says something else to each member. See docs/templates.md for what
// it can say.
type Template struct {
	text Text
	tmpl *template.Template
}

// argsEnd ends each argument that the function args returns. No argument can hold
// it, since none can for the system.
const argsEnd = "\x00"

// templateName is what text/template calls all templates in its errors. It has no colon, so
// that what follows it can be found.
const templateName = "text"

// ParseTemplate parses one template.
func ParseTemplate(text Text) (*Template, error) {
	if strings.Contains(text.Text, argsEnd) {
		return nil, fmt.Errorf("%s: has a zero byte", text.Where)
	}
	// The functions are bound to a cluster later; here only their names count.
	tmpl, err := template.New(templateName).Option("missingkey=error").Funcs(newFunctions(nil).table()).Parse(text.Text)
	if err != nil {
		return nil, text.explain(err)
	}
	return &Template{text, tmpl}, nil
}

// Expand returns what the template says to d's member. It is for what stands alone, as the
// command of --then does: {{file}} is an error, for nobody would write the file.
func (t *Template) Expand(d *Data) (string, error) {
	f := newFunctions(d)
	text, err := t.expand(f)
	if err == nil && len(f.made) > 0 {
		err = fmt.Errorf("%s: {{file}} is for the member's own command: name what it has made, or give a file with --file", t.text.Where)
	}
	if err != nil {
		return "", err
	}
	return inOneLine(text), nil
}

// KeyStores reports whether the template names a file that FileOptions.KeyStores asks for. It
// does not look at what a format says that the template calls.
func (t *Template) KeyStores() bool {
	return strings.Contains(t.text.Text, ".KeyStore") || strings.Contains(t.text.Text, ".TrustStore")
}

func (t *Template) expand(f *functions) (string, error) {
	tmpl, err := t.tmpl.Clone()
	if err != nil {
		return "", t.text.explain(err)
	}
	var b strings.Builder
	if err := tmpl.Funcs(f.table()).Execute(&b, f.d); err != nil {
		return "", t.text.explain(err)
	}
	return b.String(), nil
}

// templateError is an error of text/template, in fewer words.
type templateError struct {
	text  string
	cause error
}

func (e *templateError) Error() string { return e.text }
func (e *templateError) Unwrap() error { return e.cause }

// explain adds to an error of text/template where its template stands: the line in the
// file, if it is in one, or else the template itself, or if that is long its line.
func (t *Text) explain(err error) error {
	line, why := reason(err)
	if file, first, ok := fileAndLine(t.Where); ok {
		return fmt.Errorf("%s:%d: %w", file, first+line-1, why)
	}
	if strings.Contains(t.Text, "\n") {
		return fmt.Errorf("%s, line %d: %w", t.Where, line, why)
	}
	return fmt.Errorf("%s %q: %w", t.Where, t.Text, why)
}

// fileAndLine returns the parts of FILE:LINE.
func fileAndLine(where string) (file string, line int, ok bool) {
	colon := strings.LastIndexByte(where, ':')
	if colon <= 0 {
		return "", 0, false
	}
	line, err := strconv.Atoi(where[colon+1:])
	return where[:colon], line, err == nil && line > 0
}

// inWords names what a template is told as its author knows it, and not by its type.
var inWords = strings.NewReplacer(
	" in type *launch.Data", "",
	" in type *launch.MemberData", " of a member",
	" in type launch.ClusterData", " of the cluster",
	" in type launch.TLS", " of the TLS files",
	" in type xlreg.Endpoint", " of an endpoint",
)

// reason returns the line of a template in which err occurred, and err without the words
// that text/template puts before it.
func reason(err error) (line int, why error) {
	text := err.Error()
	found := regexp.MustCompile(`^template: ` + templateName + `:(\d+):(?:\d+:)? ?`).FindStringSubmatch(text)
	if found == nil {
		return 1, err
	}
	line, _ = strconv.Atoi(found[1]) // digits
	text = text[len(found[0]):]
	var exec template.ExecError
	if errors.As(err, &exec) {
		_, after, _ := strings.Cut(text, " at ")
		text = "at " + inWords.Replace(regexp.MustCompile(`>: error calling \w+: `).ReplaceAllLiteralString(after, ">: "))
	}
	return line, &templateError{text, err}
}
