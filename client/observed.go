package client

import (
	"context"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
)

// observedHost stands, in an endpoint to be advertised, for the host from which the registry
// sees the node.
const observedHost = "observed"

func isObserved(e xlreg.Endpoint) bool { return strings.HasPrefix(string(e), observedHost+":") }

// resolveObserved replaces observed:PORT by the host from which the registry sees this
// machine. The registry is asked once, if any endpoint needs it.
func resolveObserved(ctx context.Context, target Target, o Options, endpoints []xlreg.Endpoint) ([]xlreg.Endpoint, error) {
	resolved := make([]xlreg.Endpoint, len(endpoints))
	var from xlreg.Endpoint
	for i, e := range endpoints {
		if resolved[i] = e; !isObserved(e) {
			continue
		}
		var err error
		if from == "" {
			if from, err = askObserved(ctx, target, o); err != nil {
				return nil, err
			}
		}
		host := from[:strings.LastIndexByte(string(from), ':')+1]
		if resolved[i], err = xlreg.ParseEndpoint(string(host) + strings.TrimPrefix(string(e), observedHost+":")); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAddress, err)
		}
	}
	return resolved, nil
}

func askObserved(ctx context.Context, target Target, o Options) (xlreg.Endpoint, error) {
	if o.protocol().Classic() {
		return "", fmt.Errorf("%w: %s: %w", ErrAddress, observedHost, ErrNeeds20)
	}
	o.Node = nil
	c, err := reach(ctx, target, o)
	if err != nil {
		return "", err
	}
	defer c.Close()
	from, err := c.Observed(ctx)
	if err == nil && from == "" {
		err = fmt.Errorf("%w: the registry does not say from where it sees this node", ErrAddress)
	}
	return from, err
}
