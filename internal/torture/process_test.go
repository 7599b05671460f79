package torture

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/regcred"
)

// process is the real program, which can be killed and started again in its place.
type process struct {
	*child.Registry
	cfg child.Config
}

// newProcess starts a registry whose data is in dir.
func newProcess(t *testing.T, dir string, change func(*child.Config)) *process {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cfg: child.Config{Program: path, Data: filepath.Join(dir, "data"), Listen: ownAddress()}}
	if change != nil {
		change(&p.cfg)
	}
	p.start(t)
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// ownAddress is one that no other test's connections come from, since those could
// take the port while the registry is away.
func ownAddress() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1:0" // the one loopback address there is
	}
	return fmt.Sprintf("127.77.%d.%d:0", rand.IntN(256), 1+rand.IntN(254))
}

// start starts the registry, again if it has ended.
func (p *process) start(t *testing.T) {
	t.Helper()
	r, err := child.Start(p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.Registry, p.cfg.Listen = r, r.Listen()
}

func (p *process) target(t *testing.T) *regcred.Target {
	t.Helper()
	target, err := regcred.NewTarget(p.Cred())
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// file is where the registry keeps its data.
func (p *process) file() string { return filepath.Join(p.cfg.Data, "xlreg.db") }
