package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

func TestAddress(t *testing.T) {
	for url, want := range map[string]address{
		"postgres://u@h/db":            {user: "u", hosts: []string{"h"}, database: "db", schema: "xlreg"},
		"postgresql://h:5433/db":       {hosts: []string{"h:5433"}, database: "db", schema: "xlreg"},
		"postgres://u@h1:1,h2:2/db":    {user: "u", hosts: []string{"h1:1", "h2:2"}, database: "db", schema: "xlreg"},
		"postgres://u@[::1]:5/db":      {user: "u", hosts: []string{"[::1]:5"}, database: "db", schema: "xlreg"},
		"postgres://u@%2Fvar%2Frun/db": {user: "u", hosts: []string{"%2Fvar%2Frun"}, database: "db", schema: "xlreg"},
		"postgres://u@h/db?schema=prod_2&sslmode=disable": {
			user: "u", hosts: []string{"h"}, database: "db", schema: "prod_2", sslmode: "disable",
		},
	} {
		got, err := parseAddress(url)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %+v, %v, want %+v", url, got, err, want)
		}
	}
}

// Wherever a password stands, in order or astray, the URL is refused and the password
// not repeated.
func TestAddressRefused(t *testing.T) {
	for _, url := range []string{
		"postgres://u:hunter2@h/db", "postgres://u:@h/db?hunter2", "postgres://u:hun/ter2@h/db", "postgres://u:hunter2?x@h/db",
		"postgres://u@h:hunter2/db", "postgres://u@v:hunter2@h/db", "postgres://u@h/db?password=hunter2",
		"postgres://u@h/db?sslpassword=hunter2", "postgres://u@h/db/hunter2", "postgres://u@h/db:hunter2@x", "hunter2",
		"postgres://", "postgres://u@/db", "postgres://u@h", "postgres://u@h/", "postgres://u@h,,g/db", "postgres://u@h:99999/db",
		"postgres://u@h/db?schema=Prod", "postgres://u@h/db?schema=", "postgres://u@h/db?schema=a%3Bb", "postgres://u@h/db?schema=a&schema=b",
		"postgres://u@h/db?synchronous_commit=off", "postgres://u@h/db?options=-cx", "postgres://u@h/db?%zz",
		"postgres://u@h/db?schema=" + strings.Repeat("a", 41), "mysql://u@h/db",
	} {
		a, err := parseAddress(url)
		if err == nil {
			t.Errorf("%s: got %+v", url, a)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", url, err)
		}
		if strings.Contains(url, "u:") && strings.Contains(url, "hunter2@") && !errors.Is(err, errPassword) {
			t.Errorf("%s: %v, want %v", url, err, errPassword)
		}
	}
}

// Without a word about TLS the server has to prove who it is, unless it is here.
func TestTLSMode(t *testing.T) {
	for _, c := range []struct{ hosts, asked, ca, want string }{
		{"h", "", "", "verify-full"},
		{"h", "", "ca.pem", "verify-full"},
		{"h", "disable", "", "disable"},
		{"127.0.0.1:5432", "", "", "prefer"},
		{"localhost,[::1]:5", "", "", "prefer"},
		{"%2Fvar%2Frun", "", "", "prefer"},
		{"localhost", "", "ca.pem", "verify-full"},
		{"localhost,h", "", "", "verify-full"},
		{"10.0.0.1", "", "", "verify-full"},
	} {
		a := address{hosts: strings.Split(c.hosts, ","), sslmode: c.asked}
		if got := a.tlsMode(Options{CA: c.ca}); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

func TestAbove(t *testing.T) {
	most := bytes.Repeat([]byte{0xff}, store.MaxKey+1)
	for prefix, want := range map[string]string{
		"a": "b", "a\xff": "b", "a\x00": "a\x01", "\xfe": "\xff", "\xff\xfe": "\xff\xff", "\xff": string(most), "\xff\xff": string(most),
	} {
		if got := above(prefix); string(got) != want {
			t.Errorf("%q: got %q, want %q", prefix, got, want)
		}
	}
}
