#!/usr/bin/env bash
# Builds the commit that is checked out twice, in two directories and with nothing in common,
# and compares every byte: deploy/reproduce.sh DIR. The first build is left in DIR. The
# variables of package.sh choose what is built.
set -euo pipefail

[ "$#" = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
first=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
export VENV=${VENV:-$PWD/clients/python/.venv}
export SIGN_KEY='' # a signature by some kinds of key is another one every time
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# build WHERE OUT builds a clone.
build() {
	mkdir -p "$(dirname "$1")"
	git clone --quiet --no-hardlinks . "$1"
	OUT=$2 "$1/deploy/package.sh"
}

build "$work/a" "$first"
GOCACHE=$work/cache build "$work/another/and longer/folder" "$work/second"
diff --recursive --brief "$first" "$work/second"
echo "$(find "$first" -type f | wc -l) files are the same, byte for byte"
