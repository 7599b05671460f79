package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
)

// SpareFiles is how many files a program may open besides its connections, with some
// in reserve.
const SpareFiles = 32

// ParseCarriers reads what --carriers lists.
func ParseCarriers(list []string) ([]xlreg.Protocol, error) {
	var all []xlreg.Protocol
	for _, s := range list {
		p, err := xlreg.ParseProtocol(s)
		if err != nil {
			return nil, fmt.Errorf("--carriers: %w", err)
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("--carriers: want at least one of 2.0, 1.9 and 1.8")
	}
	return all, nil
}

// CheckPositive refuses limits that would stop everything, and zeros, which
// would be taken for defaults.
func CheckPositive(flags *pflag.FlagSet) (failed error) {
	flags.VisitAll(func(f *pflag.Flag) {
		n, numErr := strconv.Atoi(f.Value.String())
		d, durErr := time.ParseDuration(f.Value.String())
		isNumber := f.Value.Type() == "int" && numErr == nil && n <= 0
		isTime := f.Value.Type() == "duration" && durErr == nil && d <= 0
		if isNumber || isTime {
			failed = fmt.Errorf("--%s %v: want more than 0", f.Name, f.Value)
		}
	})
	return failed
}
