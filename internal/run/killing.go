package run

import "sync"

// Killing tells the commands that are run beside programs, by Once, that those are killed.
type Killing struct {
	once  sync.Once
	begun chan struct{}
}

// NewKilling returns one that has not begun.
func NewKilling() *Killing { return &Killing{begun: make(chan struct{})} }

func (k *Killing) begin() {
	if k != nil {
		k.once.Do(func() { close(k.begun) })
	}
}

// channel returns one that is closed when it begins.
func (k *Killing) channel() <-chan struct{} {
	if k == nil {
		return nil
	}
	return k.begun
}
