package launch

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// expand returns what a template says.
func expand(d *Data, text string) (string, error) {
	tmpl, err := ParseTemplate(Text{"text", text})
	if err != nil {
		return "", err
	}
	return tmpl.Expand(d)
}

func named() *Data {
	d := example()
	d.PortNames = []string{"peer", "client"}
	d.Members[0].Labels = map[string]string{"role": "scheduler"}
	d.Self.Labels = map[string]string{"role": "worker", "zone": "<b>"}
	return d
}

func TestFunctions(t *testing.T) {
	t.Setenv("LAUNCH_TEST", "a b")
	d := named()
	d.SetSecret("s3cret")
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write([]byte("cookie"))
	derived := hex.EncodeToString(mac.Sum(nil))
	for text, want := range map[string]string{
		`{{.Self.Port "client"}} {{.Self.Port 1}} {{.Self.Port "0"}}`: "4001 4001 4000",
		`{{.Self.Endpoint "peer"}} {{listen "client"}}`:               "b.example:4000 0.0.0.0:4001",
		`{{join (endpoints "client") ","}}`:                           "192.0.2.1:4001,b.example:4001,[2001:db8::3]:4001",
		`{{range .Others}}{{.Port "peer"}} {{end}}`:                   "4000 4000 ",
		`{{.Self.Role}}{{(index .Members 2).Role}}`:                   "worker",
		`{{join (labelled "role" "scheduler") ","}}`:                  "a",
		`{{add 1 2 (.Self.Port "peer")}} {{add}} {{add -1}}`:          "4003 0 -1",
		`{{base64 "a b"}} {{base64 (.Self.Endpoint 0)}}`:              "YSBi Yi5leGFtcGxlOjQwMDA=",
		`{{json .Self.Endpoints}} {{json .Self.Labels}}`:              `["b.example:4000","b.example:4001"] {"role":"worker","zone":"<b>"}`,
		`{{json "a\"b"}} {{json 1}}`:                                  `"a\"b" 1`,
		`{{toYaml .Self.Labels}}`:                                     "role: worker\nzone: <b>",
		`{{toYaml (endpoints 0)}}`:                                    "- 192.0.2.1:4000\n- b.example:4000\n- '[2001:db8::3]:4000'",
		`{{env "LAUNCH_TEST"}}`:                                       "a b",
		`{{lookup "192.0.2.1"}} {{lookup "[2001:db8::3]"}}`:           "192.0.2.1 2001:db8::3",
		`{{lookup "localhost"}}`:                                      "127.0.0.1",
		`{{range .Others}} {{lookup (.Endpoint 0)}}{{end}}`:           " 192.0.2.1:4000 [2001:db8::3]:4000",
		`{{.Secret}}`:         "s3cret",
		`{{secret "cookie"}}`: derived,
	} {
		if got, err := expand(d, text); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`{{.Self.Port "htp"}}`:       `no port is named "htp": there are peer, client`,
		`{{endpoints "htp"}}`:        `no port is named "htp"`,
		`{{listen "htp"}}`:           `no port is named "htp"`,
		`{{.Self.Endpoint 1.5}}`:     "want a name or an index",
		`{{.Self.Port 7}}`:           "none of index 7",
		`{{.Self.Port -1}}`:          "none of index -1",
		`{{add "1"}}`:                "add",
		`{{base64 .Self}}`:           "is no text",
		`{{env "LAUNCH_NO_SUCH"}}`:   "LAUNCH_NO_SUCH is not set",
		`{{lookup "no.such.host."}}`: "no.such.host",
		`{{lookup 5}}`:               "int is no text",
	} {
		if got, err := expand(d, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	d.Self.Endpoints[0] = "localhost:4000"
	if got, err := expand(d, `{{lookup (.Self.Endpoint 0)}} {{(lookup (.Self.Endpoint 0)).Port}}`); err != nil || got != "127.0.0.1:4000 4000" {
		t.Errorf("lookup of an endpoint with a name: %q, %v", got, err)
	}
	if _, err := expand(example(), `{{.Self.Port "client"}}`); err == nil || !strings.Contains(err.Error(), "name the ports with --ports") {
		t.Errorf("without names: %v", err)
	}
}

// Two names have secrets that say nothing of each other, and two runs none in common.
func TestSecrets(t *testing.T) {
	d := example()
	for _, text := range []string{"{{.Secret}}", `{{secret "a"}}`} {
		if _, err := expand(d, text); !errors.Is(err, ErrNoSecret) {
			t.Errorf("%s where there is none: %v", text, err)
		}
	}
	seen := make(map[string]bool)
	for _, secret := range []string{"one", "other"} {
		d.SetSecret(secret)
		for _, text := range []string{"{{.Secret}}", `{{secret "a"}}`, `{{secret "b"}}`} {
			got, err := expand(d, text)
			if err != nil || seen[got] {
				t.Errorf("%s: %q, %v", text, got, err)
			}
			seen[got] = true
		}
	}
}

// Nothing that prints a cluster prints its secret.
func TestSecretIsNotPrinted(t *testing.T) {
	d := named()
	d.SetSecret("s3cret")
	asJSON, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "d", d, "v", *d)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "d", d, "v", *d)
	yaml, err := expand(d, "{{toYaml .}}{{json .}}{{.}}")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(d), fmt.Sprintf("%+v %#v", d, d), fmt.Sprintf("%+v", *d), fmt.Sprintf("%#v", *d), string(asJSON), log.String(), yaml} {
		if strings.Contains(text, "s3cret") || !strings.Contains(text, "web") {
			t.Errorf("printed: %s", text)
		}
	}
}

func TestSampleOfAShape(t *testing.T) {
	s := Shape{Size: 3, Endpoints: 2, PortNames: []string{"peer", "client"}, Index: 2, Roles: map[int]string{0: "scheduler", 2: "worker"}}
	for text, want := range map[string]string{
		`{{.Self.Name}} {{.Self.Role}}`:              "m2 worker",
		`{{.Self.Port "client"}}`:                    "1029",
		`{{join (labelled "role" "scheduler") ","}}`: "m0",
		`{{join (labelled "zone" "x") ","}}`:         "m0,m1,m2",
		`{{.Secret}}`:                                "sample",
		`{{lookup "no.such.host."}}`:                 sampleAddress,
	} {
		if got, err := expand(Sample(s), text); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	if got, err := expand(Sample(Shape{Size: 2}), `{{(index (labelled "role" "scheduler") 1).Name}}`); err != nil || got != "m1" {
		t.Errorf("roles that nobody knows: %q, %v", got, err)
	}
	s.NoSecret, s.NoTLS = true, true
	if _, err := expand(Sample(s), `{{secret "x"}}`); !errors.Is(err, ErrNoSecret) {
		t.Errorf("no secret: %v", err)
	}
	if _, err := expand(Sample(s), `{{.TLS.Cert}}`); !errors.Is(err, ErrNoTLS) {
		t.Errorf("no TLS: %v", err)
	}
}

func TestPortNames(t *testing.T) {
	if err := CheckPortNames([]string{"peer", "client", "http-2", "a"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "2", "2x", "-a", "a-", "Peer", "a_b", "a b", "ä"} {
		if err := CheckPortNames([]string{"peer", name}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := CheckPortNames([]string{"a", "b", "a"}); err == nil || !strings.Contains(err.Error(), `two ports are named "a"`) {
		t.Error(err)
	}
}

func TestClientPort(t *testing.T) {
	for _, c := range []struct {
		names     []string
		endpoints int
		want      int
	}{
		{nil, 1, 0}, {nil, 2, 1}, {nil, 3, 1},
		{[]string{"peer", "http", "client"}, 3, 2}, {[]string{"peer", "http"}, 2, 1}, {[]string{"client"}, 2, 0},
	} {
		if got := Sample(Shape{Size: 2, Endpoints: c.endpoints, PortNames: c.names}).ClientPort(); got != c.want {
			t.Errorf("%q of %d: %d, want %d", c.names, c.endpoints, got, c.want)
		}
	}
}
