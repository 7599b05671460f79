package regcred

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

// recordedFingerprint is that of the sig key in testdata/1.9.24-regCred.dat.
const recordedFingerprint = "SHA256:7A5o+6lnqMQYtXZbydcnM9b2olfPxIafDHS0zpkKn3M"

// A fingerprint with all the letters that the two alphabets write differently.
const (
	sigStd = "SHA256:++//+/+/+/+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	sigURL = "--__-_-_-_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	sigRaw = "++//+/+/+/+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func TestURLRoundTrip(t *testing.T) {
	c := testCred()
	url, err := URL(c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(url, "xlreg://203.0.113.7:56789,[2001:db8::7]:56789,registry.example.org:1/?sig=") {
		t.Errorf("got %s", url)
	}
	if _, sig, _ := strings.Cut(url, "="); len(sig) != 43 || strings.ContainsAny(sig, "+/=") {
		t.Errorf("fingerprint %q is not 43 characters of base64url", sig)
	}
	got, err := Load(url)
	if err != nil {
		t.Fatal(err)
	}
	want, err := NewTarget(c)
	if err != nil {
		t.Fatal(err)
	}
	want.Cred = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLoadFile(t *testing.T) {
	got, err := Load(filepath.Join("testdata", "1.9.24-regCred.dat"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Cred == nil || got.Fingerprint != recordedFingerprint || len(got.Endpoints) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestParseURLAccepts(t *testing.T) {
	cases := map[string][]xlreg.Endpoint{
		"xlreg://a:1/?sig=" + sigURL:                         {"a:1"},
		"xlreg://a:1/?sig=" + sigRaw:                         {"a:1"},
		"xlreg://a:1/?sig=" + sigStd:                         {"a:1"},
		"xlreg://a:1/?sig=SHA256:" + sigURL:                  {"a:1"},
		"xlreg://a/?sig=" + sigURL:                           {"a:56789"},
		"xlreg://127.0.0.1/?sig=" + sigURL:                   {"127.0.0.1:56789"},
		"xlreg://[::1]/?sig=" + sigURL:                       {"[::1]:56789"},
		"xlreg://[::1]:7,b.example:8,1.2.3.4/?sig=" + sigURL: {"[::1]:7", "b.example:8", "1.2.3.4:56789"},
	}
	for url, want := range cases {
		got, err := ParseURL(url)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.Equal(got.Endpoints, want) || got.Fingerprint != sigStd {
			t.Errorf("%s: got %+v", url, got)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, url := range []string{
		"",
		"http://a:1/?sig=" + sigURL,
		"xlreg:a:1/?sig=" + sigURL,
		"xlreg:///?sig=" + sigURL,
		"xlreg://a:1",
		"xlreg://a:1/",
		"xlreg://a:1/?",
		"xlreg://a:1/?sig",
		"xlreg://a:1/?sig=",
		"xlreg://a:1?sig=" + sigURL,
		"xlreg://a:1/x?sig=" + sigURL,
		"xlreg://a:1/?sig=" + sigURL + "&sig=" + sigURL,
		"xlreg://a:1/?sig=" + sigURL + "&more=1",
		"xlreg://a:1/?sig=" + sigURL + "&",
		"xlreg://a:1/?more=1&sig=" + sigURL,
		"xlreg://a:1/?Sig=" + sigURL,
		"xlreg://a:1/?sig=" + sigURL + "#",
		"xlreg://a:1/?sig=" + sigURL + "=",
		"xlreg://a:1/?sig=" + sigURL[:42],
		"xlreg://a:1/?sig=" + sigURL + "A",
		"xlreg://a:1/?sig=" + sigURL[:42] + "B", // bits beyond the 256
		"xlreg://a:1/?sig=" + sigURL[:42] + "\n",
		"xlreg://a:1/?sig=MD5:" + sigURL,
		"xlreg://a:1,/?sig=" + sigURL,
		"xlreg://,a:1/?sig=" + sigURL,
		"xlreg://a:0/?sig=" + sigURL,
		"xlreg://a:/?sig=" + sigURL,
		"xlreg://u@a:1/?sig=" + sigURL,
		"xlreg://::1/?sig=" + sigURL,
		"xlreg://::1:7/?sig=" + sigURL,
		"xlreg://" + strings.Repeat("a:1,", 16) + "a:1/?sig=" + sigURL,
		"xlreg://" + strings.Repeat("a", maxURL) + "/?sig=" + sigURL,
	} {
		if got, err := ParseURL(url); err == nil {
			t.Errorf("%s: got %+v", url, got)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("xlreg://a:1/?sig=" + sigURL)
	f.Add("xlreg://[::1],1.2.3.4:7/?sig=" + sigStd)
	f.Add("xlreg://a:1/?more=1&sig=" + sigRaw)
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseURL(s)
		if err != nil {
			return
		}
		url, err := target.URL()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, target) {
			t.Errorf("%q is read as %+v, and written and read again as %+v", s, target, again)
		}
	})
}

func FuzzParse(f *testing.F) {
	file := testFile(f)
	f.Add([]byte(file))
	f.Add([]byte(strings.ReplaceAll(file, "\r\n", "\n")))
	f.Add([]byte(file[:len(file)/2]))
	f.Add([]byte("regCred {\n Name: a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") && len(data) <= maxLen {
				t.Errorf("%v: names no line", err)
			}
			return
		}
		written, err := Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(written)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, c) {
			t.Errorf("read as %+v, and written and read again as %+v", c, again)
		}
	})
}
