package wire_test

import (
	"os"
	"os/exec"
	"testing"
)

// The generated code is what the pinned generator makes of xlreg.proto.
func TestGeneratedCodeIsFresh(t *testing.T) {
	// Go keeps the result of a test until a file that the test itself has read
	// changes, so the generator's reading is not enough.
	for _, path := range []string{"xlreg.proto", "xlregpb/xlreg.pb.go", "../../tools/go.mod", "../../tools/genproto/main.go"} {
		must[[]byte](t)(os.ReadFile(path))
	}
	check := exec.Command("go", "run", "-C", "../../tools", "./genproto", "-check", "../internal/wire/xlreg.proto", "../internal/wire/xlregpb/xlreg.pb.go")
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
