package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/host"
)

// The pages for operators have the limits as the program has them.
func TestOperationsListsTheLimits(t *testing.T) {
	page := readOperations(t)
	var f serveFlags
	cmd := new(cobra.Command)
	f.registerLimits(cmd.Flags())
	f.registerLeases(cmd.Flags())
	listed := 0
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		listed++
		value := flag.DefValue
		if d, err := time.ParseDuration(value); err == nil && d >= time.Minute {
			value = strings.TrimSuffix(value, "0s")
			value = strings.Replace(value, "h0m", "h", 1)
		}
		if row := fmt.Sprintf("| `--%s` | %s |", flag.Name, value); !strings.Contains(page, row) {
			t.Errorf("docs/operate has no row that begins %q", row)
		}
	})
	if listed < 15 {
		t.Errorf("%d flags seen", listed)
	}
}

// What strangers can cost a day follows from the defaults.
func TestOperationsSaysWhatStrangersCost(t *testing.T) {
	page := readOperations(t)
	const minutes, commitPages, gb = 24 * 60, 10, 1e9
	const formation = 2*xlreg.MaxClassicClusterSize + 1 // a registration and a seat for each, and the cluster
	d := guard.DefaultLimits()
	writes, reads := d.WritesPerMinute*minutes, float64(d.ReadMiBPerMinute)*minutes*(1<<20)
	for _, row := range []string{
		fmt.Sprintf("| one address | %d | %.0f GB | %.1f GB | %.0f GB |",
			writes, float64(writes)*commitPages*guard.WriteUnit/gb, float64(writes)*guard.WriteUnit/gb, reads/gb),
		fmt.Sprintf("| all addresses but loopback | %d | as many commits as it can sync | %d GiB, and then no more |",
			d.WritesPerMinuteTotal*minutes, d.DataMiB>>10),
		fmt.Sprintf("form a new cluster %d times in a row, and then %d times a minute",
			int(float64(d.WritesPerMinute)*d.WriteBurst.Minutes())/formation, d.WritesPerMinute/formation),
		fmt.Sprintf("one address can take %d MiB of memory, with %d connections of %d KiB, and all of them together %d MiB",
			d.ConnectionsPerAddress*connectionMemory>>20, d.ConnectionsPerAddress, connectionMemory>>10, d.Connections*connectionMemory>>20),
		fmt.Sprintf("%d MiB, and %d KiB for each connection", ownMemory>>20, connectionMemory>>10),
	} {
		if !strings.Contains(page, row) {
			t.Errorf("docs/operate does not say %q", row)
		}
	}
}

// What is said of the log follows from its bounds, and from how long a line is.
func TestOperationsSaysHowTheLogGrows(t *testing.T) {
	page := readOperations(t)
	const lineLen = 290 // bytes; that of a session over 2.0 from an IPv6 address
	mb := host.LinesPerSecond * 24 * 60 * 60 * lineLen / 1_000_000
	if mb != 250 || host.LinesAtOnce != 1000 || host.LinesPerSecond != 10 ||
		!strings.Contains(page, "a thousand may come at once and then ten a second, about 250 MB a day") {
		t.Errorf("docs/operate does not say that the log grows by %d MB a day", mb)
	}
}

// readOperations returns the pages for operators with blanks for line ends, since where a
// line ends says nothing.
func readOperations(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("../../docs/operate/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range paths {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(page)
	}
	return strings.ReplaceAll(all.String(), "\n", " ")
}
