//go:build unix

package run

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"time"
)

// unread is a place for output that nobody reads until it is closed.
type unread struct{ begun, closed chan struct{} }

func (u *unread) Write(p []byte) (int, error) {
	select {
	case u.begun <- struct{}{}:
	default:
	}
	<-u.closed
	return len(p), nil
}

// A run that was told to end does not wait for ever for whoever should read its output, or
// hear what happens.
func TestStuck(t *testing.T) {
	for name, stop := range map[string]func(signals chan<- os.Signal, commands chan<- Command){
		"by a signal":  func(signals chan<- os.Signal, _ chan<- Command) { signals <- syscall.SIGTERM },
		"by a command": func(_ chan<- os.Signal, commands chan<- Command) { commands <- Command{Do: DoStop} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, out := testOptions(t), &unread{make(chan struct{}, 1), make(chan struct{})}
			signals, commands := make(chan os.Signal), make(chan Command)
			o.Signals, o.Commands = signals, commands
			stuck := make(chan struct{})
			o.Grace, o.Stuck = time.Millisecond, func() { close(stuck) }
			ended := make(chan error, 1)
			go func() { ended <- All([]Program{stays("a", out)}, o) }()
			<-out.begun
			stop(signals, commands)
			select {
			case <-stuck:
			case <-time.After(time.Minute):
				t.Error("nobody noticed")
			}
			select {
			case err := <-ended:
				t.Errorf("it was not stuck: %v", err)
			default:
			}
			close(out.closed)
			<-ended // in whatever way
		})
	}
}

// Of a program that has ended all is copied that it wrote, however slow the machine is, and
// nothing is waited for, though the pipe is still open.
func TestLastWords(t *testing.T) {
	r, w := pipe(t)
	words := bytes.Repeat([]byte("word "), 12000) // a pipe takes so much
	if _, err := w.Write(words); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	o := &output{from: r, to: newSink(&got)}
	o.end()
	o.copy()
	if !bytes.Equal(got.Bytes(), words) {
		t.Errorf("%d of %d bytes were copied", got.Len(), len(words))
	}
}
