package main

import (
	"fmt"
	"strings"
	"time"
)

// The worked example.
const (
	exampleMembers  = 1_000_000
	exampleClusters = 30_000
)

// sizes are the numbers of servers that are reckoned with.
var sizes = []int{1, 3, 30}

// table is a table of Markdown with its name in the page.
type table struct {
	name, text string
}

func allTables(in inputs) []table {
	return []table{
		{"inputs", inputTable(in)},
		{"ceilings", ceilingTable(in)},
		{"starts", startTable(in)},
		{"registries", registryTable(in)},
		{"adding", addingTable()},
	}
}

// ceilingTable is what a registry carries by each of its limits alone.
func ceilingTable(in inputs) string {
	t := newTable("limit", "1 server", "3 servers", "30 servers")
	line := func(what string, f func(servers int) string) {
		cells := []string{what}
		for _, n := range sizes {
			cells = append(cells, f(n))
		}
		t.row(cells...)
	}
	line("registrations a second, by the servers' cores", func(n int) string { return count(in.byServers(n)) })
	line("the same, by the cores of etcd's leader", func(n int) string { return count(in.byEtcd(n)) })
	line("the same, with one write transaction under way at each server", func(n int) string { return count(in.byLanes(n)) })
	line("waiting members, by connections", func(n int) string { return count(n * in.connections) })
	line("waiting members, by half of the memory, with `--max-connections` raised", func(n int) string {
		return count(n * (in.serverMemory << 30) / 2 / in.waiting)
	})
	line(fmt.Sprintf("leases of %d s, by half of the cores", in.leaseSeconds), func(n int) string {
		return count(n * int(in.serverCores) * 50 / in.leaseShare * 10_000)
	})
	line("answers to watchers a second, by half of the cores", func(n int) string {
		return count(n * int(in.serverCores) * int(time.Second/in.answer()) / 2)
	})
	line("members in the store, by etcd's size", func(int) string { return count((in.quota << 20) / in.stored) })
	line("members whose records a mirror holds, by its size", func(int) string { return count((in.mirror << 20) / in.stored) })
	line(fmt.Sprintf("clusters of %d in the store, by etcd's size", exampleMembers/exampleClusters), func(int) string {
		return count((in.quota << 20) / in.stored * exampleClusters / exampleMembers)
	})
	line("watches at etcd", count)
	return t.String()
}

// byServers is how many members a second the processors of so many servers have time for:
// each member costs one of them what it costs to serve, and all of them what it costs to
// be told.
func (in inputs) byServers(n int) int {
	each := in.serving + time.Duration(n-1)*in.told
	return n * int(in.serverCores) * int(time.Second) / int(each)
}

// byEtcd is how many the leader has time for, when it is so busy that transactions are
// full. It tells a third of the servers.
func (in inputs) byEtcd(n int) int {
	each := leader(in.put)*steps/time.Duration(in.batch) + leader(in.update())*steps + in.looking() + in.telling*time.Duration(n*steps)/3
	return int(in.etcdCores) * int(time.Second) / int(each)
}

// startTable plays the example on one registry.
func startTable(in inputs) string {
	t := newTable("servers", "they start within", "the last roster is there after", "a cluster forms in, median", "99 %", "write transactions a member", "in conflict", "busiest server's cores", "leader's cores", "busiest server's members")
	for _, n := range sizes {
		for _, window := range []time.Duration{10 * time.Minute, time.Minute} {
			o := simulate(in, in.plant(n), start{clusters: alike(exampleMembers, exampleClusters), window: window, spread: time.Second})
			t.row(append([]string{fmt.Sprint(n), short(window)}, o.cells(in)...)...)
		}
	}
	return t.String()
}

// byLanes is how many have their turns when each server's transactions are full and follow
// each other, without conflicts.
func (in inputs) byLanes(n int) int {
	each := in.commit + (leader(in.put)+times(leader(in.update()), in.batch))/time.Duration(in.etcdCores)
	return n * in.batch * int(time.Second) / int(steps*each)
}

// looking is what the leader does for the comparisons of one member.
func (in inputs) looking() time.Duration {
	return leader(in.compare) * time.Duration(in.looks) / 1000
}

func (in inputs) plant(servers int) plant {
	return plant{servers: servers, serverCores: in.serverCores, etcdCores: in.etcdCores}
}

func (o outcome) cells(in inputs) []string {
	return []string{
		seconds(o.all), seconds(percentile(o.formation, 50)), seconds(percentile(o.formation, 99)),
		fmt.Sprintf("%.2f", float64(o.writes)/float64(o.members)), fmt.Sprintf("%d %%", 100*o.conflicts/o.writes),
		percent(o.serverBusy, o.all*time.Duration(in.serverCores)), percent(o.etcdBusy, o.all*time.Duration(in.etcdCores)),
		count(o.busiest),
	}
}

// registryTable divides thirty servers and the example's clusters among registries.
func registryTable(in inputs) string {
	t := newTable("registries", "servers of each", "members of the fullest", "against the mean", "the last roster is there after", "a cluster forms in, median", "99 %", "leader's cores, fullest", "in its etcd")
	for _, n := range []int{1, 3, 10} {
		fullest := divide(names("registry", n), exampleClusters)
		members := alike(exampleMembers, exampleClusters)[:fullest]
		o := simulate(in, in.plant(30/n), start{clusters: members, window: time.Minute, spread: time.Second})
		t.row(fmt.Sprint(n), fmt.Sprint(30/n), count(o.members),
			fmt.Sprintf("%.2f", float64(o.members)*float64(n)/exampleMembers),
			seconds(o.all), seconds(percentile(o.formation, 50)), seconds(percentile(o.formation, 99)),
			percent(o.etcdBusy, o.all*time.Duration(in.etcdCores)), fmt.Sprintf("%s MiB", count(o.members*in.stored>>20)))
	}
	return t.String()
}

// divide returns how many of the example's clusters the fullest registry has.
func divide(registries []string, clusters int) int {
	full, most := make(map[string]int), 0
	for _, cluster := range names("cluster", clusters) {
		r := choose(registries, cluster)
		full[r]++
		most = max(most, full[r])
	}
	return most
}

// addingTable counts what moves when a registry is added.
func addingTable() string {
	t := newTable("registries", "clusters of another registry than before", "of those, to the new one", "1 of n")
	for _, n := range []int{2, 4, 11} {
		registries := names("registry", n)
		moved, toNew := 0, 0
		for _, cluster := range names("cluster", exampleClusters) {
			before, after := choose(registries[:n-1], cluster), choose(registries, cluster)
			if before != after {
				moved++
			}
			if before != after && after == registries[n-1] {
				toNew++
			}
		}
		t.row(fmt.Sprintf("%d to %d", n-1, n), count(moved), count(toNew), count(exampleClusters/n))
	}
	return t.String()
}

// names returns names that stand for the fingerprints of registries, or for clusters.
func names(what string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s-%d", what, i)
	}
	return list
}

// alike spreads members over clusters so that their sizes differ by one at most.
func alike(members, clusters int) []int {
	list := make([]int, clusters)
	for i := range list {
		list[i] = members*(i+1)/clusters - members*i/clusters
	}
	return list
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)-1)*p/100]
}

// percent is 100 for servers that still take in what they were told when all is over.
func percent(part, whole time.Duration) string { return fmt.Sprintf("%d %%", min(100*part/whole, 100)) }

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return count(int(d.Seconds())) + " s"
}

func short(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }

// grid is a table that is being made.
type grid struct{ b strings.Builder }

func newTable(head ...string) *grid {
	g := new(grid)
	g.row(head...)
	for range head {
		g.b.WriteString("| --- ")
	}
	g.b.WriteString("|\n")
	return g
}

func (g *grid) row(cells ...string) {
	fmt.Fprintf(&g.b, "| %s |\n", strings.Join(cells, " | "))
}

// String returns it as Markdown.
func (g *grid) String() string { return g.b.String() }
