// Command gen writes the generated files of docs/vectors anew. Run it with
// go generate ./docs/vectors.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg/internal/vectorgen"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run replaces the folders under dir by what the generator makes.
func run(dir string) error {
	files, err := vectorgen.Generate()
	if err != nil {
		return fmt.Errorf("generate vectors: %w", err)
	}
	for name := range files {
		if folder := filepath.Dir(name); folder != "." {
			if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
				return fmt.Errorf("remove old vectors: %w", err)
			}
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("write vector: %w", err)
		}
	}
	return nil
}
