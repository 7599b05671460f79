//go:build unix

package run

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
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

// mostInPipe is how much a pipe can be made to hold.
const mostInPipe = 1 << 20

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

// copy copies until the pipe is at its end, or until end is called and the pipe is empty: all that
// the program wrote is in it by then. A process that escaped may keep it open for ever.
func (o *output) copy() {
	buffer := make([]byte, 32<<10)
	for !o.ended.Load() {
		n, err := o.from.Read(buffer)
		o.pass(buffer[:n])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	for most := mostInPipe; most > 0; {
		n := o.readNow(buffer)
		if n <= 0 {
			break
		}
		o.pass(buffer[:n])
		most -= n
	}
	o.to.flush()
}

func (o *output) pass(p []byte) {
	if len(p) > 0 {
		_, _ = o.to.Write(p) // the program goes on even if its output goes nowhere
	}
}

// readNow reads what is in the pipe, and waits for nothing.
func (o *output) readNow(buffer []byte) (n int) {
	_ = o.from.SetReadDeadline(time.Time{}) // which end has set
	raw, err := o.from.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Read(func(fd uintptr) bool {
		n, _ = syscall.Read(int(fd), buffer) // the pipe does not block
		return true
	})
	return n
}

// end lets copy end.
func (o *output) end() {
	_ = o.from.SetReadDeadline(time.Now()) // wakes it
	o.ended.Store(true)
}
