// Package linear holds what clients see of a registry against the rules. Its tests
// record histories: what many clients asked at once, over all three carriers, when
// they asked, what they were answered and when; of a registry in this process on
// each store, of one that is killed and started again meanwhile, and of three servers on
// one store while these, the members of etcd and PostgreSQL are killed, hang and are cut
// off from each other. A history is right if there is an order of its requests, each at
// one moment between question and answer, in which the rules of docs/protocol.md, section
// 5, give these very answers. The search for that order is porcupine's.
//
// The registry in this process goes by a clock that stands still, unless a client moves
// it, which it does while nobody asks: so it is known which seats end then, and with which
// connections, and every revision is known to the millisecond.
//
// A check that finds nothing is worth what it would find, so the same clients are
// also let loose on stores that are broken in ways that real ones are, on shared databases
// with the mistakes that their drivers could make, and on registries that are wrong about
// what ends; each of those has to be found out.
//
// The short form is part of go test. XLREG_LONG=1 makes many histories, for minutes,
// and XLREG_SEED=n has the clients choose as they did in a run that printed n.
package linear
