package main

import (
	"fmt"
	"time"
)

// inputs are what everything else is computed from.
type inputs struct {
	serving      time.Duration // processor time of a server for a member that comes to it, being told of it included
	told         time.Duration // of every other server, which is told of it
	etcdMember   time.Duration // of etcd's three members, for a member
	writes       int           // write transactions for a thousand members in that
	looks        int           // comparisons without changes for a thousand members in that
	put          time.Duration // processor time of etcd's three members for a write transaction of one record
	compare      time.Duration // the same for a comparison without changes
	telling      time.Duration // the same for telling one server of one change
	commit       time.Duration // how long a transaction takes that has etcd to itself
	stored       int           // bytes in etcd for a member, its share of the cluster included
	waiting      int           // bytes of a server for a connection that waits
	mirror       int           // MiB that a server keeps of the store at most
	connections  int           // that a server takes, unless told otherwise
	leaseSeconds int           // length of the leases measured
	leaseShare   int           // percent of a core for ten thousand of these
	quota        int           // MiB that etcd should hold at most
	batch        int           // Updates in a transaction at most

	// Not measured: machines to reckon with.
	serverCores, etcdCores int64
	serverMemory           int // GiB
}

// answer is the processor time of a server for telling one watcher, who then asks again.
// That is what a lease is renewed by, three times within its length.
func (in inputs) answer() time.Duration {
	const leases = 10_000
	return time.Second * time.Duration(in.leaseShare*in.leaseSeconds) / (3 * 100 * leases)
}

// measuredServers is how many servers there were where etcdMember was measured.
const measuredServers = 3

// update is what it costs etcd's three members that a write transaction has one Update
// more in it. It is what is left of a member's cost.
func (in inputs) update() time.Duration {
	thousand := 1000*(in.etcdMember-measuredServers*steps*in.telling) - time.Duration(in.writes)*in.put - time.Duration(in.looks)*in.compare
	return thousand / (1000 * steps)
}

// leader is the leader's part of what a transaction costs etcd. It is reckoned to do what
// the two others do together.
func leader(all time.Duration) time.Duration { return all / 2 }

const (
	scaleCommand = "`go test -run '^$' -bench 'Scale$' ./internal/bench`"
	etcdCommand  = "`go test -run '^$' -bench 'ScaleEtcd$' ./internal/bench`"
)

// inputTable lists them with what measures each.
func inputTable(in inputs) string {
	t := newTable("what", "value", "from")
	t.row("processor time of a server for a member that comes to it", micros(in.serving), scaleCommand)
	t.row("of every other server, for being told of it", micros(in.told), "the same")
	t.row("processor time of etcd's three members for a member", micros(in.etcdMember), "the same")
	t.row("write transactions a member", fmt.Sprintf("%.2f", float64(in.writes)/1000), "the same")
	t.row("comparisons without changes, a member", fmt.Sprintf("%.2f", float64(in.looks)/1000), "the same")
	t.row("bytes in etcd for a member", count(in.stored), "the same")
	t.row("processor time of etcd's three members for a write transaction of 1 KiB", micros(in.put), etcdCommand)
	t.row("for a comparison without changes", micros(in.compare), "the same")
	t.row("for telling a server of a change", micros(in.telling), "the same")
	t.row("for one more Update in a transaction", micros(in.update()), "computed: a member has three, and this is what is left of its cost")
	t.row("a write transaction alone takes", in.commit.String(), "the same")
	t.row("bytes of a waiting connection", count(in.waiting), "`go test -run '^$' -bench WaitingMemory ./internal/bench`; [performance.md](performance.md)")
	t.row(fmt.Sprintf("10,000 leases of %d s", in.leaseSeconds), fmt.Sprintf("%d %% of a core", in.leaseShare), "`go test -run '^$' -bench Leases ./internal/bench`; [performance.md](performance.md)")
	t.row("a server's mirror of the store, at most", fmt.Sprintf("%d MiB", in.mirror), "`internal/store/mirror`")
	t.row("connections of a server, at most", count(in.connections), "`internal/guard`, `--max-connections`")
	t.row("Updates in one write transaction, at most", count(in.batch), "`internal/store/etcd`: 64 of its 128 comparisons, and four an Update")
	t.row("etcd holds, at most", fmt.Sprintf("%d MiB", in.quota), "[etcd](https://etcd.io/docs/v3.4/dev-guide/limit/): 8 GiB is suggested as the maximum")
	t.row("a server is", fmt.Sprintf("%d cores, %d GiB", in.serverCores, in.serverMemory), "chosen")
	t.row("each of three members of etcd is", fmt.Sprintf("%d cores", in.etcdCores), "chosen")
	return t.String()
}

func micros(d time.Duration) string { return fmt.Sprintf("%s µs", count(int(d.Microseconds()))) }

// count writes a number with commas.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
