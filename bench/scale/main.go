// Scale says what one server, three and thirty carry, from what one member was measured to
// cost: it plays the start of a million members with a simulation of the servers, their
// lanes and etcd, and prints the tables of docs/scale.md.
//
//	go run ./bench/scale                        # print them
//	go run ./bench/scale -write docs/scale.md   # put them into the page
//
// Chance comes from a fixed seed and time is counted in whole nanoseconds, so it prints
// the same on every machine.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	write := flag.String("write", "", "put the tables into this `PAGE` instead of printing them")
	flag.Parse()
	if err := run(*write); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(page string) error {
	tables := allTables(measured)
	if page == "" {
		for _, t := range tables {
			fmt.Printf("%s\n\n%s\n", t.name, t.text)
		}
		return nil
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	updated, err := insert(string(old), tables)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(updated), 0o644) //nolint:gosec // a page for everybody
}
