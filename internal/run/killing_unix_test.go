//go:build unix

package run

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// The second signal ends the wait for whatever is run beside the programs, too.
func TestSecondSignalKillsCommands(t *testing.T) {
	deaf := "trap '' TERM; echo up; while :; do sleep 0.01; done"
	for name, set := range map[string]func(*Options, *Program, func(context.Context) error){
		"then":        func(o *Options, _ *Program, f func(context.Context) error) { o.Then = f },
		"after ready": func(o *Options, _ *Program, f func(context.Context) error) { o.AfterReady = f },
		"ready": func(_ *Options, p *Program, f func(context.Context) error) {
			p.Ready = &Ready{Check: f, Timeout: time.Hour}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := newHeard()
			r, w := pipe(t)
			signals := make(chan os.Signal)
			o := testOptions(t)
			o.Grace, o.Signals, o.Killing = time.Hour, signals, NewKilling()
			command := script("command", deaf, out)
			command.Stdin = w // it is there until all of the command is gone
			p := stays("a", nil)
			set(&o, &p, func(ctx context.Context) error { return Once(ctx, command, o) })
			ended := make(chan error, 1)
			go func() { ended <- All([]Program{p}, o) }()
			out.until(t, "up\n")
			signals <- syscall.SIGINT
			<-time.After(2 * oneSignal) // so that the next one counts
			signals <- syscall.SIGINT
			select {
			case err := <-ended:
				var e *ExitError
				if !errors.As(err, &e) || e.Name != "a" {
					t.Errorf("got %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("it goes on")
			}
			w.Close()
			wantEOF(t, r)
		})
	}
}
