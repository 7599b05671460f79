package child_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRegistry(t *testing.T) {
	program, err := child.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := child.Config{Program: program, Data: t.TempDir() + "/data"}
	first, err := child.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Kill() }()
	if n, err := first.Anonymous(); err != nil || n <= 0 {
		t.Errorf("anonymous memory %d, %v", n, err)
	}
	if d, err := first.CPU(); err != nil || d <= 0 {
		t.Errorf("processor time %v, %v", d, err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	cfg.Listen = first.Listen()
	second, err := child.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Kill() }()
	if second.Cred().ID != first.Cred().ID {
		t.Errorf("ID %q after a restart, %q before", second.Cred().ID, first.Cred().ID)
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
}

func TestRegistryThatDoesNotOpen(t *testing.T) {
	program, err := child.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.Start(child.Config{Program: program, Data: t.TempDir() + "/data", Args: []string{"--id-bits", "7"}}); err == nil {
		t.Error("a registry with IDs of 7 bits opened")
	}
}
