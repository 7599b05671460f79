#!/bin/sh
# Three servers that are one registry, on an etcd of three members, all on this machine.
# Three nodes form a cluster, and while two of them wait for the third, one server and one
# member of etcd are killed. Needs xlreg and etcd (Debian: etcd-server).
set -eu

dir=$(mktemp -d)
started=
trap 'kill $started 2>/dev/null || true; wait; rm -rf "$dir"' EXIT

# An address of this machine alone that no other run of this script has.
ip=127.$(($$ / 65536 + 1)).$(($$ / 256 % 256)).$(($$ % 256))

until_it() { # LOG TEXT: waits for a line, as long as what writes it is there
	until grep -q "$2" "$dir/$1.log"; do
		kill -0 "$last" 2>/dev/null || { cat "$dir/$1.log" >&2; exit 1; }
		sleep 0.1
	done
}
begin() { # NAME PROGRAM…: starts a program in the background
	log=$dir/$1.log
	shift
	: >"$log"
	"$@" >>"$log" 2>&1 &
	last=$!
	started="$started $last"
}

# The store.
members=e1=http://$ip:2381,e2=http://$ip:2382,e3=http://$ip:2383
for i in 1 2 3; do
	begin e$i etcd --name e$i --data-dir "$dir/e$i" --initial-cluster $members --initial-cluster-token "$dir" \
		--listen-client-urls http://$ip:237$i --advertise-client-urls http://$ip:237$i \
		--listen-peer-urls http://$ip:238$i --initial-advertise-peer-urls http://$ip:238$i
	eval "etcd$i=$last"
done
store=etcd://$ip:2371,$ip:2372,$ip:2373/prod

# The servers. The first makes the registry's keys, and the others get them from a backup.
public=$ip:5671,$ip:5672,$ip:5673
serve() {
	begin s$1 xlreg serve --data "$dir/s$1" --store $store --listen $ip:567$1 --public $public
	eval "server$1=$last"
	until_it s$1 'registry is open'
}
serve 1
xlreg backup "$dir/s1" "$dir/registry.tar" >/dev/null
for i in 2 3; do
	xlreg restore "$dir/registry.tar" "$dir/s$i" >/dev/null
	serve $i
done

# The cluster. All clients have the addresses of all three servers.
export XLREG_REGISTRY="$dir/s1/regCred.dat"
join() { xlreg join demo --create --size 3 --node "$dir/$1" --endpoint "$2" --wait 2m -o json; }
join a 127.0.0.1:7001 >"$dir/a.json" 2>"$dir/a.log" &
a=$!
join b 127.0.0.1:7002 >"$dir/b.json" 2>"$dir/b.log" &
b=$!
started="$started $a $b"
until xlreg get demo 2>/dev/null | grep -q '^2 of 3 members'; do kill -0 $a; kill -0 $b; sleep 0.1; done
kill -9 "$server1" "$etcd1"
join c 127.0.0.1:7003 >"$dir/c.json" 2>"$dir/c.log"
wait $a
wait $b
for node in a b; do
	[ "$(grep '"sum"' "$dir/$node.json")" = "$(grep '"sum"' "$dir/c.json")" ]
done
echo "formed without one of the servers and one member of etcd"
