// Package client is the Go client of a cluster registry.
//
// Most programs need one call, Form: it registers the node, creates the cluster
// or finds it, joins it with the addresses of the listeners given, waits until
// everybody is there, and returns the roster with every signature verified. It
// carries on when the registry is restarted meanwhile. Await is the same for a reader,
// which waits for the roster and does not join.
//
// Below it stands Client, one session with a registry, whose methods are the
// requests of the protocol: Register, Login, Create, Join, Members, Wait, Leave.
//
// A ticket (package ticket) is one line that leads to the registry, names the cluster
// with its key, and says what its holder may do there. Whatever takes a Target takes a
// ticket, too: Form then creates the cluster, if the ticket is its owner's, or joins it
// by the owner's leave. Owner gives the orders of a cluster's owner.
//
// # What a roster proves
//
// Over protocol 2.0 the registry has proved that it holds the key which the
// credentials or the xlreg:// line name, and each member marked Verified has
// signed its own name, keys, endpoints and certificate. So a registry cannot
// change what a member says of itself. In a cluster with a key each member has the
// leave of the cluster's owner besides, which is verified too: whoever has a ticket,
// which pins that key, is shown no stranger. In an open cluster, that a member is there at
// all is the registry's statement, as are IDs everywhere; and a name is what the other
// node chose for itself. A registry can still leave members out, or show one that was
// evicted. Roster.Sum stands for all that a roster says: Membership.Compare asks the other
// members for theirs, and Client.Signed has the registry sign it, so that two that
// contradict each other convict it. Members that registered over a classic carrier are in
// the roster and not Verified: they are as trustworthy as that carrier, which
// has no integrity check. Nothing here ever falls back from 2.0 to a classic
// carrier.
//
// # Talking to the other members
//
// A complete roster is a set of trust anchors, with which the members speak mutual
// TLS to each other without a certificate authority. Membership.Listen accepts
// members and Membership.Dial reaches one, and both know who is on the other end:
//
//	l, err := m.Listen(listener)           // the one that Form was given
//	nc, err := l.Accept()                  // here
//	from := nc.(*client.Conn).Member()
//
//	c, err := m.Dial(ctx, "bob")           // there
//
// For everything else that speaks TLS there is Membership.TLSConfig, for either end;
// Roster.ByCertificate tells who it is. These accept exactly the other members, by
// key and not by name, and only over TLS 1.3. Clients of the cluster, which are not
// members, read the roster with Client.Members, and have Roster.Dial and
// Roster.ClientTLSConfig; for them a member serves with Membership.ServerTLSConfig,
// by convention on its second endpoint.
//
// Who is a member is asked of the roster at each handshake. So a key that left is
// refused from the next handshake after a Refresh on. Connections that are open stay
// open: to end those of a member that left, look for them by Conn.Member. A member that
// has not refreshed its roster refuses members that have joined since.
//
// Programs not built with this package read files: Roster.CertificatesPEM is what they
// trust. They accept exactly these certificates, so they need a new file before
// Roster.CertificatesExpire, while the configurations here accept a renewed certificate
// by its key. For such programs a member goes on showing the certificate that is in the
// roster as long as that is valid.
//
// # A cluster in the course of time
//
// Watch tells what changes in a cluster, once each; Membership.Watch does so for a
// member, whose roster and TLS configurations move along. FormOptions.Lease makes a seat end
// without signs of life, which the Membership gives until it is closed. With
// FormOptions.Fresh a whole cluster that restarts under its old name meets without its last
// run. A process that runs as a node of which there is another one is told by a TwinError.
//
// # Errors
//
// What a registry refuses is an error of one of the kinds of package xlreg:
// errors.Is(err, xlreg.ErrClusterFull) holds however deeply it is wrapped, and
// errors.As to *xlreg.Error yields what more the registry said.
package client
