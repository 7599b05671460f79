package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
)

// maxConfig bounds a file with settings, in bytes.
const maxConfig = 1 << 20

// settings are where the flags of serve come from: the command line, then the environment,
// then the file of --config, which can be read again.
type settings struct {
	path    string          // of the file; empty: there is none
	given   *pflag.FlagSet  // as the command line and the environment have set them
	fixed   map[string]bool // flags that the file cannot set, since one of those two has
	known   cli.Variables   // names that the file may have
	console *cli.Console
}

// newSettings takes the flags of serve as they were given, fromEnv those of them that the
// environment has set.
//
// With EnvironmentFile= systemd puts what a file says into the environment, which then says
// so for ever, whatever becomes of the file. So a variable that says the same as the file
// of --config at the start is taken to come from there.
func newSettings(path string, given *pflag.FlagSet, fromEnv func(string) bool, known cli.Variables, c *cli.Console) (*settings, error) {
	s := &settings{path: path, given: given, fixed: make(map[string]bool), known: known, console: c}
	file, err := s.readFile()
	if err != nil {
		return nil, err
	}
	said := make(map[string]string)
	for _, set := range file {
		said[set.Name] = set.Value
	}
	given.Visit(func(f *pflag.Flag) {
		name := cli.EnvName(f.Name)
		s.fixed[f.Name] = !fromEnv(f.Name) || os.Getenv(name) != said[name]
	})
	return s, nil
}

// readFile returns what the file says; nothing if there is none.
func (s *settings) readFile() ([]cli.Setting, error) {
	if s.path == "" {
		return nil, nil
	}
	data, err := readBounded(s.path, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	all, err := cli.ParseEnvFile(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	for _, set := range all {
		if err := s.known.Check(set.Name); err != nil {
			return nil, s.at(set, err)
		}
	}
	return all, nil
}

func (s *settings) at(set cli.Setting, err error) error {
	return fmt.Errorf("%s: line %d: %w", s.path, set.Line, err)
}

// read returns what serve is to run on, with the file as it is now.
func (s *settings) read() (*serveConfig, error) {
	file, err := s.readFile()
	if err != nil {
		return nil, err
	}
	lines := make(map[string]cli.Setting) // by variable; of several the last one counts
	for _, set := range file {
		lines[set.Name] = set
	}
	f, flags := new(serveFlags), pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.define(flags)
	var failed error
	flags.VisitAll(func(flag *pflag.Flag) {
		if err := s.set(flags, flag, lines); err != nil && failed == nil {
			failed = err
		}
	})
	if failed != nil {
		return nil, failed
	}
	cfg, err := f.config(flags, s.console)
	if err != nil {
		return nil, err
	}
	cfg.settings, cfg.flags = s, flags
	return cfg, nil
}

// set sets one flag by what was given, or else by the file.
func (s *settings) set(flags *pflag.FlagSet, flag *pflag.Flag, file map[string]cli.Setting) error {
	if s.fixed[flag.Name] {
		return copyFlag(flags, s.given.Lookup(flag.Name))
	}
	set := file[cli.EnvName(flag.Name)]
	if set.Value == "" { // as good as not set
		return nil
	}
	if err := flags.Set(flag.Name, set.Value); err != nil {
		return s.at(set, fmt.Errorf("%s: %w", set.Name, cli.ExplainValue(flag, set.Value, err)))
	}
	return nil
}

// copyFlag sets a flag as it is set elsewhere. Lists have no text that reads as the same
// list.
func copyFlag(flags *pflag.FlagSet, from *pflag.Flag) error {
	list, ok := from.Value.(pflag.SliceValue)
	if !ok {
		return flags.Set(from.Name, from.Value.String())
	}
	to := flags.Lookup(from.Name)
	to.Changed = true
	return to.Value.(pflag.SliceValue).Replace(list.GetSlice()) // a flag has one type
}

// readBounded reads a file that an operator has written.
func readBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: name a file that is there", err)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s: want a file of at most %d KiB", path, most>>10)
	}
	return os.ReadFile(path)
}
