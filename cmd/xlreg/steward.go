package main

import (
	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/host"
)

// steward is a registry as its admin side sees it. It stands here since whoever puts a
// registry into a test of theirs, by package host, should not get an HTTP server as well.
type steward struct{ *host.Host }

var _ admin.Steward = steward{}

// By is for admin.Steward.
func (s steward) By(name, from string) admin.Changer { return s.Host.By(name, from) }
