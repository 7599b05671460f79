package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// printer writes results in some form.
type printer func(io.Writer, []result) error

var printers = map[string]printer{
	"table":    printTable,
	"markdown": printMarkdown,
	"json":     printJSON,
}

var columns = []string{"system", "store", "who is proved", "n", "median ms", "p90 ms", "time ratio", "CPU ms", "CPU ratio"}

func (r result) cells() []string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }
	ratio := func(f float64) string { return fmt.Sprintf("%.2f", f) }
	return []string{
		r.System, r.Store, r.Carrier, fmt.Sprint(r.N),
		ms(r.Median), ms(r.P90), ratio(r.Ratio), ms(r.CPU), ratio(r.CPURatio),
	}
}

func printTable(w io.Writer, results []result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(columns, "\t"))
	for _, r := range results {
		fmt.Fprintln(tw, strings.Join(r.cells(), "\t"))
	}
	return tw.Flush()
}

// printMarkdown writes what docs/performance.md has.
func printMarkdown(w io.Writer, results []result) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s; %s, %d CPUs; medians of %d rounds.\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.Version(), runtime.NumCPU(), len(results[0].Took))
	rule := strings.Repeat("| --- ", 3) + strings.Repeat("| ---: ", len(columns)-3) + "|"
	fmt.Fprintf(&text, "| %s |\n%s\n", strings.Join(columns, " | "), rule)
	for _, r := range results {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(r.cells(), " | "))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func printJSON(w io.Writer, results []result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(results)
}
