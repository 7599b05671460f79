#!/bin/sh
# Three etcd nodes with mutual TLS and no certificate authority: a key that is
# written on one is read on another. Needs xlreg, curl and etcd (Debian: etcd-server).
set -eu

dir=$(mktemp -d)
trap 'kill "$run" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT

xlreg run -n 3 --ports 2 --cluster demo --dir "$dir" -- \
	etcd '{{args "etcd"}}' --data-dir '{{.Dir}}/etcd' >"$dir/log" 2>&1 &
run=$!

# The first member's files, which any client may use that runs as the same user.
files=$dir/m0/clusters/demo
running() { kill -0 "$run" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }; }
until [ -e "$files/roster.json" ]; do running; sleep 0.1; done

# The addresses in the roster: for members and for clients of each in turn.
set -- $(sed -n 's/^ *"\([^ "]*:[0-9]*\)",*$/\1/p' "$files/roster.json")
on_m0=$2 on_m2=$6

ask() { # ADDRESS put|range JSON
	curl -sS --fail --cacert "$files/peers.pem" --cert "$files/cert.pem" --key "$files/key.pem" \
		"https://$1/v3/kv/$2" -d "$3" 2>>"$dir/log"
}
key=$(printf hello | base64) value=$(printf world | base64)
until ask "$on_m0" put "{\"key\":\"$key\",\"value\":\"$value\"}" >>"$dir/log"; do running; sleep 0.1; done
ask "$on_m2" range "{\"key\":\"$key\"}" | grep -q "\"value\":\"$value\""
echo "written on m0, read on m2"
