package main

import (
	"os"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/early"
	"github.com/xlattice/xlreg/internal/run"
)

// launchOptions are those that run and join have in common.
func (g *globals) launchOptions() (run.Options, error) {
	self, err := os.Executable()
	return run.Options{ShimPath: self, ShimArgs: []string{g.Program, early.ShimCommand}, Mark: g.mark, Killing: g.killing}, err
}
