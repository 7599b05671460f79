// Package client is the Go client of a cluster registry.
//
// Most programs need one call, Form: it registers the node, creates the cluster
// or finds it, joins it with the addresses of the listeners given, waits until
// everybody is there, and returns the roster with every signature verified. It
// carries on when the registry is restarted meanwhile.
//
// Below it stands Client, one session with a registry, whose methods are the
// requests of the protocol: Register, Login, Create, Join, Members, Wait, Leave.
//
// # What a roster proves
//
// Over protocol 2.0 the registry has proved that it holds the key which the
// credentials or the xlreg:// line name, and each member marked Verified has
// signed its own name, keys, endpoints and certificate. So a registry cannot
// change what a member says of itself. That a member is in the cluster at all,
// and under which ID, is the registry's statement; and a name is what the other
// node chose for itself. Members that registered over a classic carrier are in
// the roster and not Verified: they are as trustworthy as that carrier, which
// has no integrity check. Nothing here ever falls back from 2.0 to a classic
// carrier.
//
// # Errors
//
// What a registry refuses is an error of one of the kinds of package xlreg:
// errors.Is(err, xlreg.ErrClusterFull) holds however deeply it is wrapped, and
// errors.As to *xlreg.Error yields what more the registry said.
package client
