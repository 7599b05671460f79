package xlreg_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

func TestCredentialsValidate(t *testing.T) {
	for want, change := range map[string]func(*xlreg.Credentials){
		"":             func(*xlreg.Credentials) {},
		"name":         func(c *xlreg.Credentials) { c.Name = "" },
		"ID":           func(c *xlreg.Credentials) { c.ID = "short" },
		"no endpoint":  func(c *xlreg.Credentials) { c.Endpoints = nil },
		`"nowhere"`:    func(c *xlreg.Credentials) { c.Endpoints[0] = "nowhere" },
		"17 endpoints": func(c *xlreg.Credentials) { c.Endpoints = slices.Repeat(c.Endpoints, 17) },
	} {
		c := &xlreg.Credentials{Name: "xlReg", ID: "0123456789abcdef0123", Endpoints: []xlreg.Endpoint{"127.0.0.1:1"}}
		change(c)
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCredentialsProtocol(t *testing.T) {
	for version, want := range map[string]xlreg.Protocol{
		"0.9": xlreg.Protocol18, "1.0": xlreg.Protocol18, "1.8": xlreg.Protocol18, "1.8.99": xlreg.Protocol18,
		"1.9.4": xlreg.Protocol18, "1.9.4.255": xlreg.Protocol18, "1.9.5": xlreg.Protocol19, "1.9.24": xlreg.Protocol19,
		"1.10": xlreg.Protocol19, "2.0": xlreg.Protocol20, "2.7.1": xlreg.Protocol20, "3.0": xlreg.Protocol20,
	} {
		v, err := xlreg.ParseVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		c := &xlreg.Credentials{Version: v}
		if p, ok := c.Protocol(); p != want || ok != (want == xlreg.Protocol20) {
			t.Errorf("%s: %v, %v", version, p, ok)
		}
	}
}
