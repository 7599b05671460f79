package xlreg

import (
	"fmt"
	"strings"
	"testing"
)

// However a roster is printed, no byte of a key is in it.
func TestPrintingShowsNoKeys(t *testing.T) {
	const secret = "\x30\x82KEYBYTES"
	token := Token{
		Name: "a", ID: NodeID(strings.Repeat("\x11", LongIDLen)), CommsKey: secret, SigKey: secret,
		Endpoints: []Endpoint{"192.0.2.1:1", "192.0.2.1:2"}, DigSig2: []byte(secret), Certificate: []byte(secret),
	}
	member := Member{Index: 3, Token: token}
	cluster := Cluster{Name: "web", MaxSize: 4}
	roster := Roster{Cluster: cluster, Members: []Member{member}}
	cases := []struct {
		value any
		want  string
	}{
		{token, "a at 192.0.2.1:1, 192.0.2.1:2"},
		{&token, "a at 192.0.2.1:1, 192.0.2.1:2"},
		{Token{Name: "b", SigKey: secret}, "b"},
		{member, "3 a at 192.0.2.1:1, 192.0.2.1:2"},
		{roster, "web, 1 of 4: 3 a at 192.0.2.1:1, 192.0.2.1:2"},
		{&roster, "web, 1 of 4: 3 a at 192.0.2.1:1, 192.0.2.1:2"},
		{token.SigKey, "key of 10 bytes"},
		{token.CommsKey, "key of 10 bytes"},
		{SigKey(""), "no key"},
		{cluster, "web"},
		{Cluster{ID: ClusterID(strings.Repeat("\x22", ShortIDLen))}, strings.Repeat("22", ShortIDLen)},
		{Credentials{Name: "reg", SigKey: secret, CommsKey: secret, Endpoints: []Endpoint{"h:1"}}, "reg at h:1"},
	}
	for _, c := range cases {
		for _, verb := range []string{"%v", "%+v", "%s"} {
			if got := fmt.Sprintf(verb, c.value); got != c.want {
				t.Errorf("%s of %T: %q, want %q", verb, c.value, got, c.want)
			}
		}
	}
	in := struct{ Roster *Roster }{&roster}
	for _, verb := range []string{"%v", "%+v"} {
		if got := fmt.Sprintf(verb, in); strings.Contains(got, "KEYBYTES") {
			t.Errorf("%s: %q", verb, got)
		}
	}
}
