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

// ExplainFlag says what is wrong with a flag's value in words of this program, where
// the library's would be those of Go.
func ExplainFlag(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	f := invalid.GetFlag()
	return fmt.Errorf("--%s: %w", f.Name, ExplainValue(f, invalid.GetValue(), err))
}

// ExplainValue is ExplainFlag for a value alone, wherever it came from.
func ExplainValue(f *pflag.Flag, value string, err error) error {
	if want, known := wanted[f.Value.Type()]; known {
		return fmt.Errorf("%q: want %s", value, want)
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return invalid.Unwrap()
	}
	return err
}

// wanted says what the values of each type of flag look like.
var wanted = map[string]string{
	"int":         "a whole number",
	"intSlice":    "whole numbers separated by commas",
	"duration":    "a time with its unit, such as 30s or 5m",
	"bool":        "true or false",
	"stringSlice": "a list separated by commas",
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
