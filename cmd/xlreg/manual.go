package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/manual"
)

// newManual is for those who make packages.
func newManual() *cobra.Command {
	return &cobra.Command{
		Use:    "manual DIR",
		Short:  "Write the manual pages",
		Long:   "Write a manual page for each command into DIR, dated with SOURCE_DATE_EPOCH.",
		Hidden: true,
		Args:   oneArg("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := manual.Edition{Version: buildVersion().Version}
			if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
				seconds, err := strconv.ParseInt(epoch, 10, 64)
				if err != nil {
					return cli.UsageError(fmt.Errorf("SOURCE_DATE_EPOCH: %q: want seconds since 1970", epoch))
				}
				e.Date = time.Unix(seconds, 0)
			}
			return manual.Write(args[0], cmd.Root(), e)
		},
	}
}
