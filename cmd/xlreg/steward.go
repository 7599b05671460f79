package main

import (
	"strings"

	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/host"
)

// steward is a registry as its admin side sees it. It stands here since whoever puts a
// registry into a test of theirs, by package host, should not get an HTTP server as well.
type steward struct {
	*host.Host

	cert  *admin.Certificate // of the admin side; nil: it has none
	store string             // its kind
}

// storeKind names the kind of store that a registry has.
func storeKind(cfg *serveConfig) string {
	scheme, _, _ := strings.Cut(cfg.store, "://")
	switch {
	case scheme == "postgresql":
		return "postgres"
	case scheme != "":
		return scheme
	case cfg.ephemeral:
		return "memory"
	}
	return "bolt"
}

var _ admin.Steward = steward{}

// Registry is for admin.Steward.
func (s steward) Registry() api.Registry {
	about := s.Host.Registry()
	about.Store = s.store
	if s.cert != nil {
		until := s.cert.Until()
		about.CertificateUntil = &until
	}
	return about
}

// By is for admin.Steward.
func (s steward) By(name, from string) admin.Changer { return s.Host.By(name, from) }
