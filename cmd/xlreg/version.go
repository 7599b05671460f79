package main

import (
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/view"
)

// versionJSON is what a build says of itself.
type versionJSON struct {
	Version   string   `json:"version"`
	Revision  string   `json:"revision,omitempty"`
	Go        string   `json:"go"`
	Protocols []string `json:"protocols"`
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			fields := []view.Field{{"xlreg", v.Version}, {"go", v.Go}, {"protocols", strings.Join(v.Protocols, " ")}}
			if v.Revision != "" {
				fields = append(fields, view.Field{"revision", v.Revision})
			}
			return g.PrintFields(v, fields...)
		},
	}
}

func buildVersion() versionJSON {
	v := versionJSON{Version: xlreg.Release, Protocols: []string{"2.0", "1.9", "1.8"}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
