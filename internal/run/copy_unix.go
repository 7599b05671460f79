//go:build unix

package run

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// sink is where the output of all starts of a program goes.
type sink struct {
	mu   sync.Mutex // two starts may overlap, if the first left a shared helper
	to   io.Writer
	file *os.File // to is this file, which is given to the program itself
}

func newSink(w io.Writer) *sink {
	f, _ := w.(*os.File)
	return &sink{to: w, file: f}
}

// Write implements io.Writer.
func (k *sink) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.to.Write(p)
}

// flush ends what a start has left unfinished.
func (k *sink) flush() {
	if f, ok := k.to.(interface{ Flush() error }); ok {
		k.mu.Lock()
		defer k.mu.Unlock()
		_ = f.Flush()
	}
}

// close closes a writer that can be closed. A file remains its owner's.
func (k *sink) close() {
	if c, ok := k.to.(io.Closer); ok && k.file == nil {
		_ = c.Close()
	}
}

// output is a pipe from a program to a writer.
type output struct {
	from  *os.File
	to    *sink
	ended atomic.Bool
}

// lastWords is how long to wait for the rest of the output of a program that has ended.
// The pipe ends at once, unless a process that escaped holds it open.
const lastWords = 500 * time.Millisecond

// outlet is what a program is given to write to.
type outlet struct {
	file *os.File
	mine bool // to be closed once the program has it
}

// give sets where a command writes to. Nothing given is nowhere.
func (o outlet) give(to *io.Writer) {
	if o.file != nil {
		*to = o.file
	}
}

func (o outlet) done() {
	if o.mine {
		o.file.Close()
	}
}

func (sh *process) output(to *sink) (outlet, error) {
	if to.to == nil || to.file != nil {
		return outlet{file: to.file}, nil
	}
	r, f, err := os.Pipe()
	if err != nil {
		return outlet{}, err
	}
	sh.outputs = append(sh.outputs, &output{from: r, to: to})
	return outlet{file: f, mine: true}, nil
}

func (o *output) copy() {
	buffer := make([]byte, 32<<10)
	for {
		if o.ended.Load() {
			_ = o.from.SetReadDeadline(time.Now().Add(lastWords))
		}
		n, err := o.from.Read(buffer)
		if n > 0 {
			_, _ = o.to.Write(buffer[:n]) // the program goes on even if its output goes nowhere
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !o.ended.Load() {
			continue
		}
		if err != nil {
			break
		}
	}
	o.to.flush()
}

// end bounds the wait for more.
func (o *output) end() {
	o.ended.Store(true)
	_ = o.from.SetReadDeadline(time.Now().Add(lastWords))
}
