package main

import (
	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/host"
)

// steward is a registry as its admin side sees it. It stands here since whoever puts a
// registry into a test of theirs, by package host, should not get an HTTP server as well.
type steward struct {
	*host.Host

	cert *admin.Certificate // of the admin side; nil: it has none
}

// Registry is for admin.Steward.
func (s steward) Registry() api.Registry {
	about := s.Host.Registry()
	if s.cert != nil {
		until := s.cert.Until()
		about.CertificateUntil = &until
	}
	return about
}

// By is for admin.Steward.
func (s steward) By(name, from string) admin.Changer { return s.Host.By(name, from) }
