package admin_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/admintest"
)

var update = flag.Bool("update", false, "write docs/reference/openapi.yaml anew")

const openAPIFile = "../../docs/reference/openapi.yaml"

func document(t *testing.T) []byte {
	t.Helper()
	s, err := admin.New(admin.Config{Steward: admintest.New(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return s.OpenAPI()
}

func TestOpenAPIIsCommitted(t *testing.T) {
	want := document(t)
	if *update {
		if err := os.WriteFile(openAPIFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(openAPIFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale, %v: run make generate", openAPIFile, err)
	}
}
