//go:build !unix

package detach

import (
	"context"
	"os"
)

// Start detaches on Unix only.
func Start(context.Context, Options) error { return ErrUnixOnly }

// Inherited returns nil: no process is a detached one.
func Inherited() *Starter { return nil }

// LogTo is for Unix only.
func (s *Starter) LogTo(*os.File) error { return ErrUnixOnly }

func (s *Starter) mute() {}
