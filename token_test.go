package xlreg_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

func goodToken() *xlreg.Token {
	return &xlreg.Token{
		Name:      "m0",
		CommsKey:  "comms", // no keys: package keys looks at those
		SigKey:    "sig",
		Endpoints: []xlreg.Endpoint{"127.0.0.1:1"},
	}
}

func TestTokenValidate(t *testing.T) {
	token := goodToken()
	if err := token.Validate(); err != nil {
		t.Error(err)
	}
	token.Endpoints = slices.Repeat(token.Endpoints, 16)
	if err := token.Validate(); err != nil {
		t.Errorf("16 endpoints: %v", err)
	}
	token.Endpoints = nil
	if err := token.Validate(); err != nil {
		t.Errorf("no endpoints: %v", err)
	}
}

func TestTokenValidateRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(*xlreg.Token)
		detail string // what names the fault
	}{
		"no name":      {func(t *xlreg.Token) { t.Name = "" }, "name"},
		"name":         {func(t *xlreg.Token) { t.Name = "a b" }, `"a b"`},
		"17 endpoints": {func(t *xlreg.Token) { t.Endpoints = slices.Repeat(t.Endpoints, 17) }, "17 endpoints"},
		"endpoint":     {func(t *xlreg.Token) { t.Endpoints = append(t.Endpoints, "a:0") }, `"a:0"`},
	}
	for name, c := range cases {
		token := goodToken()
		c.change(token)
		err := token.Validate()
		if !errors.Is(err, xlreg.ErrIllFormedToken) || !strings.Contains(err.Error(), c.detail) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
