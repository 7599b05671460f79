package wire_test

import (
	"os/exec"
	"testing"
)

// The generated code is what the pinned generator makes of xlreg.proto.
func TestGeneratedCodeIsFresh(t *testing.T) {
	check := exec.Command("go", "run", "-C", "../tools", "./genproto", "-check", "../wire/xlreg.proto", "../wire/xlregpb/xlreg.pb.go")
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
