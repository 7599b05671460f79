package xlregtest

import (
	"log/slog"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// anyPort is where everything listens: a free port that only this machine reaches.
const anyPort = "127.0.0.1:0"

// Option changes what Start and Cluster do.
type Option func(*options)

type options struct {
	protocols []xlreg.Protocol
	logger    *slog.Logger

	ofRegistry bool      // an option was given that is about a new registry
	ofCluster  bool      // one was given that Start has no use for
	keys       keys.Kind // of members; empty: what suits the protocol
	registry   *Registry
	name       xlreg.Name
	endpoints  int
}

func collect(opts []Option) *options {
	o := &options{endpoints: 1}
	for _, set := range opts {
		set(o)
	}
	return o
}

// protocol returns what members speak: 2.0 where they have the choice.
func (o *options) protocol() xlreg.Protocol {
	if len(o.protocols) == 0 || slices.Contains(o.protocols, xlreg.Protocol20) {
		return xlreg.Protocol20
	}
	return o.protocols[0]
}

// kind returns the kind of the keys of nodes that speak p.
func (o *options) kind(p xlreg.Protocol) keys.Kind {
	switch {
	case o.keys != "":
		return o.keys
	case p.Classic():
		return keys.RSA
	}
	return keys.P256
}

// WithKeys says of which kind the members' keys are. Without it they are on P-256, which
// is fast, or RSA where the members speak a classic protocol, which knows nothing else.
func WithKeys(kind keys.Kind) Option {
	return func(o *options) { o.keys, o.ofCluster = kind, true }
}

// WithProtocols says what the registry speaks; without it that is everything. The
// members of a cluster speak 2.0 with it, or the first of the protocols if 2.0 is
// not among them. Then they have no certificates, and so no TLS.
func WithProtocols(p ...xlreg.Protocol) Option {
	return func(o *options) { o.protocols, o.ofRegistry = p, true }
}

// WithLogger says where the registry logs; without it that is nowhere. This logs
// where the test does:
//
//	xlregtest.WithLogger(slog.New(slog.NewTextHandler(t.Output(), nil)))
func WithLogger(l *slog.Logger) Option {
	return func(o *options) { o.logger, o.ofRegistry = l, true }
}

// WithRegistry makes the cluster in a registry that runs already, and not in one
// of its own.
func WithRegistry(r *Registry) Option {
	return func(o *options) { o.registry, o.ofCluster = r, true }
}

// WithName names the cluster. Without it the name is one that the registry has not
// had before.
func WithName(name xlreg.Name) Option {
	return func(o *options) { o.name, o.ofCluster = name, true }
}

// WithEndpoints gives each member k endpoints, and a listener for each.
func WithEndpoints(k int) Option {
	return func(o *options) { o.endpoints, o.ofCluster = k, true }
}
