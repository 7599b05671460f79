// Command originald is a fake of an original registry server as a process, for the
// tests of clients that are not in Go.
//
//	originald --generation 1.8 --cred /tmp/x/regCred.dat
//
// prints the name of that file when it is ready, or without --cred what would be in
// it, and ends with a signal; with --stdin when its standard input ends, too, so
// that it never outlives whoever holds the other end of that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/xlattice/xlreg/internal/original"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "originald:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	original.Options
	cred  string
	stdin bool
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("originald", flag.ContinueOnError)
	generation := flags.String("generation", "1.9", "the `generation` to speak, 1.8 or 1.9")
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:0", "the `address` to listen at")
	flags.BoolVar(&o.LoseRaces, "lose-races", false, "let the first Create of each name lose a race")
	flags.StringVar(&o.cred, "cred", "", "write the credentials to this `file` and print its name")
	flags.BoolVar(&o.stdin, "stdin", false, "end when standard input does")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch *generation {
	case "1.8":
		o.Generation = original.V18
	case "1.9":
		o.Generation = original.V19
	default:
		return o, fmt.Errorf("generation %q: want 1.8 or 1.9", *generation)
	}
	return o, nil
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s, err := original.Start(o.Options)
	if err != nil {
		return err
	}
	return errors.Join(serve(s, &o, stdin, stdout), s.Close())
}

func serve(s *original.Server, o *options, stdin io.Reader, stdout io.Writer) error {
	said := s.RegCred()
	if o.cred != "" {
		if err := os.WriteFile(o.cred, said, 0o600); err != nil {
			return err
		}
		said = []byte(o.cred + "\n")
	}
	if _, err := stdout.Write(said); err != nil {
		return err
	}
	if o.stdin { // a signal ends the process as it ends any other
		_, err := io.Copy(io.Discard, stdin)
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	return nil
}
