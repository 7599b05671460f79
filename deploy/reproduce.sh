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

one=$work/a two="$work/another/and longer/folder"
mkdir -p "$(dirname "$two")"
git clone --quiet --no-hardlinks . "$one"
git clone --quiet --no-hardlinks "$one" "$two"

OUT=$first "$one/deploy/package.sh"
GOCACHE=$work/cache OUT=$work/second "$two/deploy/package.sh"
diff --recursive --brief "$first" "$work/second"
echo "$(find "$first" -type f | wc -l) files are the same, byte for byte"
