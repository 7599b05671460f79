package recipe

import "testing"

func TestInstallCommand(t *testing.T) {
	for want, i := range map[string]Install{
		"":                  {},
		"apt-get install a": {Debian: "a", PyPI: "b", Go: "c"},
		"pip install b":     {PyPI: "b", Go: "c"},
		"go install c":      {Go: "c", Shell: "d"},
		"d":                 {Shell: "d"},
	} {
		if got := i.Command(); got != want {
			t.Errorf("%+v: %q", i, got)
		}
	}
}
