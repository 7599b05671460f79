package regcred

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func utf16File(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// Credentials are taken in whatever way they were pasted.
func TestLoadWhatWasPasted(t *testing.T) {
	const url = "xlreg://registry.example.org:56789/?sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	cred, err := os.ReadFile("testdata/1.9.24-regCred.dat")
	if err != nil {
		t.Fatal(err)
	}
	want := map[bool]string{true: mustLoad(t, url), false: mustLoad(t, "testdata/1.9.24-regCred.dat")}
	dir := t.TempDir()
	arguments := map[string]string{
		"blanks": "  " + url + "\t ", "line end": url + "\r\n", "quotes": "'" + url + "'", "double quotes": `"` + url + `"`,
		"mail": "<" + url + ">", "typographic": "“" + url + "”", "wrapped": url[:30] + "\r\n    " + url[30:], "mark": "\ufeff" + url,
		"assignment": "export XLREG_REGISTRY='" + url + "'", "no-break space": "\u00a0" + url,
	}
	for name, s := range arguments {
		if got := mustLoad(t, s); got != want[true] {
			t.Errorf("%s: %s", name, got)
		}
	}
	files := map[string]struct {
		isURL bool
		text  string
	}{
		"line": {true, url}, "line-end": {true, url + "\n"}, "crlf": {true, "\r\n" + url + "\r\n"},
		"mark": {true, "\ufeff" + url}, "quoted": {true, "'" + url + "'\n"}, "assigned": {true, "export XLREG_REGISTRY=\"" + url + "\"\n"},
		"utf16": {true, utf16File(binary.LittleEndian, url+"\r\n")}, "utf16be": {true, utf16File(binary.BigEndian, url)},
		"cred-mark": {false, "\ufeff" + string(cred)}, "cred-lf": {false, strings.ReplaceAll(string(cred), "\r\n", "\n")},
		"cred-blank": {false, "\n\n  " + strings.ReplaceAll(string(cred), "\r\n", "  \r\n") + "\n \n"},
		"cred-utf16": {false, utf16File(binary.LittleEndian, string(cred))},
		"cred-nbsp":  {false, strings.ReplaceAll(string(cred), "    ", "\u00a0 \u00a0 ")},
	}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, " " + path + "\n", "'" + path + "'"} {
			if got := mustLoad(t, name); got != want[f.isURL] {
				t.Errorf("%q: %s", name, got)
			}
		}
	}
}

func mustLoad(t *testing.T, s string) string {
	t.Helper()
	target, err := Load(s)
	if err != nil {
		t.Errorf("%q: %v", s, err)
		return ""
	}
	url, err := target.URL()
	if err != nil {
		t.Error(err)
	}
	return url
}

// An address alone is no credentials, and what is missing can be fetched.
func TestLoadAnAddress(t *testing.T) {
	for _, s := range []string{"registry.example.org:56789", "192.0.2.7:56789", "[2001:db8::1]:1"} {
		_, err := Load(s)
		if err == nil || !strings.Contains(err.Error(), "'xlreg cred fetch "+s+" --out regCred.dat'") {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := Load("no/such/file"); err == nil || strings.Contains(err.Error(), "cred fetch") {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(path, []byte("xlreg://h:1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}
