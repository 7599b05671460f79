// Peers forms the same clusters with this registry and with other systems, side
// by side in one run, and prints how long each takes. In all of them n members, each
// with a connection of its own, learn of all n.
//
// It is a module of its own, so that what it compares with stays out of the
// dependencies of whoever imports ours.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "peers:", err)
	os.Exit(1)
}

func run(ctx context.Context, args []string, in io.Reader, out, progress io.Writer) error {
	if len(args) == 1 && args[0] == childArg {
		return runChild(ctx, in, out, progress)
	}
	plan, print, err := parse(args, progress)
	if err != nil {
		return err
	}
	results, err := plan.run(ctx, progress)
	if len(results) == 0 {
		return err
	}
	return errors.Join(print(out, results), err) // a run that was ended has measured something
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (*plan, printer, error) {
	p := &plan{}
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(usage)
	sizes := flags.String("n", "8,16,64", "how many members, with commas between several `numbers`")
	flags.IntVar(&p.rounds, "rounds", 9, "measure each so often, after one time that does not count")
	only := flags.String("only", "", "measure the systems whose name contains one of these `words`, with commas between")
	flags.BoolVar(&p.apart, "apart", false, "run each server in a process of its own; CPU is then the members' alone")
	format := flags.String("format", "table", "print `table`, markdown or json")
	asJSON := flags.Bool("json", false, "the same as --format json")
	if err := flags.Parse(args); err != nil {
		return nil, nil, err
	}
	if *asJSON {
		*format = "json"
	}
	print, ok := printers[*format]
	if !ok || flags.NArg() > 0 || p.rounds < 1 {
		flags.Usage()
		return nil, nil, fmt.Errorf("cannot use arguments %q", args)
	}
	p.systems = choose(newSystems(io.Discard), *only)
	var err error
	if p.sizes, err = parseSizes(*sizes); err != nil {
		return nil, nil, err
	}
	return p, print, nil
}

const maxSize = 64 // what a cluster of ours may have

func parseSizes(list string) ([]int, error) {
	var sizes []int
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 2 || n > maxSize {
			return nil, fmt.Errorf("number of members %q: want 2 to %d", word, maxSize)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// choose returns the systems whose name contains a word of the list, and always
// the one that the others are compared with.
func choose(all []system, list string) []system {
	if list == "" {
		return all
	}
	var chosen []system
	for i, s := range all {
		if i == 0 || containsAny(s.label(), strings.Split(list, ",")) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
