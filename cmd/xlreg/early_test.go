package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/early"
)

// A shim starts before the packages that it does without are initialized, which would take most
// of the time of its start.
func TestShimIsEarly(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	initialized := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), self, args...)
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		out, _ := cmd.CombinedOutput() // a shim without a supervisor fails
		return string(out)
	}
	shim, other := initialized(early.ShimCommand), initialized("-test.run", "^$")
	if !strings.Contains(shim, "only a supervisor calls it") {
		t.Errorf("it was no shim: %s", shim)
	}
	for _, heavy := range []string{"github.com/prometheus/client_golang/prometheus", "github.com/danielgtaylor/huma/v2", "google.golang.org/protobuf/reflect/protodesc", "google.golang.org/grpc", "net/http"} {
		if trace := "init " + heavy + " @"; strings.Contains(shim, trace) || !strings.Contains(other, trace) {
			t.Errorf("%s: initialized by a shim: %v, by others: %v", heavy, strings.Contains(shim, trace), strings.Contains(other, trace))
		}
	}
}
