#!/usr/bin/env bash
# Builds what is released: deploy/package.sh [WHAT…], where WHAT is deb, rpm, archives, image,
# sbom, python, ruby or sums. Without arguments it builds all of them.
#
# The same commit built with the same Go gives the same bytes, wherever and by whomever. These
# variables change what is built:
#
#   OUT       where it goes (dist)
#   SYSTEMS   of archives (linux darwin windows freebsd)
#   ARCHES    of everything (amd64 arm64)
#   REVISION  of the package, for another package of the same release (1)
#   SIGN_KEY  file with the SSH key that signs SHA256SUMS; empty: nothing is signed
#   VENV      Python environment with what builds the wheel (clients/python/.venv)
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=$(mkdir -p "${OUT:-dist}" && cd "${OUT:-dist}" && pwd)
SYSTEMS=${SYSTEMS:-linux darwin windows freebsd}
ARCHES=${ARCHES:-amd64 arm64}
VERSION=$(sed -n 's/^const Release = "\(.*\)"$/\1/p' version.go)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
STAGE=$OUT/stage
VENV=${VENV:-$PWD/clients/python/.venv}
export VERSION SOURCE_DATE_EPOCH STAGE REVISION=${REVISION:-1}

# What else could change a byte. The list of modules has a checksum of the tool that wrote it, so
# that is built without paths, too.
export CGO_ENABLED=0 GOFLAGS=-trimpath GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT='' LC_ALL=C TZ=UTC
umask 022

# archive FOLDER NAME packs a folder in which only the names and contents of files count.
archive() {
	tar -C "$1" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode=u+rwX,go+rX,go-w -cf - "$2" | gzip -9n
}

# binary OS ARCH builds the program, once, and says where it is.
binary() {
	local dir=$STAGE/bin/$1_$2 name=xlreg
	[ "$1" != windows ] || name=xlreg.exe
	[ -e "$dir/$name" ] || GOOS=$1 GOARCH=$2 go build -ldflags '-s -w -buildid=' -o "$dir/$name" ./cmd/xlreg
	echo "$dir/$name"
}

# papers makes the manual pages and the completions.
papers() {
	[ ! -e "$STAGE/man" ] || return 0
	local xlreg
	xlreg=$(binary "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)")
	mkdir -p "$STAGE/man" "$STAGE/completions"
	"$xlreg" manual "$STAGE/man"
	gzip -9n "$STAGE"/man/*.1
	"$xlreg" completion bash >"$STAGE/completions/xlreg.bash"
	"$xlreg" completion zsh >"$STAGE/completions/_xlreg"
	"$xlreg" completion fish >"$STAGE/completions/xlreg.fish"
	"$xlreg" completion powershell >"$STAGE/completions/xlreg.ps1"
}

make_deb() { nfpm_package deb; }

make_rpm() { nfpm_package rpm; }

nfpm_package() {
	papers
	cat <<-END | gzip -9n >"$STAGE/changelog.Debian.gz"
		xlreg ($VERSION-$REVISION) unstable; urgency=medium

		  * Release $VERSION: https://github.com/xlattice/xlreg/blob/main/CHANGELOG.md

		 -- the xlreg authors <xlreg@users.noreply.github.com>  $(date -R -d "@$SOURCE_DATE_EPOCH")
	END
	for arch in $ARCHES; do
		binary linux "$arch" >/dev/null
		ARCH=$arch go tool -modfile=tools/release/go.mod nfpm package -f deploy/nfpm/nfpm.yaml -p "$1" -t "$OUT/" >&2
	done
}

make_archives() {
	papers
	local name folder system arch
	for system in $SYSTEMS; do
		for arch in $ARCHES; do
			name=xlreg-$VERSION-$system-$arch
			folder=$STAGE/archives/$name
			rm -rf "$folder"
			mkdir -p "$folder"
			cp "$(binary "$system" "$arch")" LICENSE README.md CHANGELOG.md "$folder"
			cp -r "$STAGE/completions" "$folder"
			mkdir "$folder/man"
			cp "$STAGE"/man/* "$folder/man"
			if [ "$system" = windows ]; then
				zip_folder "$name"
			else
				archive "$STAGE/archives" "$name" >"$OUT/$name.tar.gz"
			fi
		done
	done
}

# zip_folder makes a zip archive of one folder of the archives.
zip_folder() {
	rm -f "$OUT/$1.zip"
	find "$STAGE/archives/$1" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
	(cd "$STAGE/archives" && find "$1" -type f | sort | zip -qX9 "$OUT/$1.zip" -@)
}

# make_image builds an image for each architecture, each an archive in the OCI layout, which
# podman, skopeo and docker load.
make_image() {
	local arch context store tag
	store=$STAGE/containers
	for arch in $ARCHES; do
		context=$STAGE/image_$arch
		rm -rf "$context" "$STAGE/oci_$arch"
		mkdir -p "$context/root/usr/bin" "$context/root/etc" "$context/data"
		cp "$(binary linux "$arch")" "$context/root/usr/bin/xlreg"
		echo 'xlreg:x:65532:65532:xlreg:/var/lib/xlreg:/usr/bin/xlreg' >"$context/root/etc/passwd"
		chmod 700 "$context/data"
		cp deploy/image/Dockerfile "$context"
		tag=localhost/xlreg:$VERSION-$arch
		image_tool "$store" bud --quiet --isolation chroot --pull-never --timestamp "$SOURCE_DATE_EPOCH" --os linux --arch "$arch" \
			--label "org.opencontainers.image.version=$VERSION" --label org.opencontainers.image.licenses=MIT \
			--label org.opencontainers.image.source=https://github.com/xlattice/xlreg -t "$tag" "$context" >&2
		image_tool "$store" push --quiet --format oci "$tag" "oci:$STAGE/oci_$arch:$VERSION" >&2
		tar -C "$STAGE/oci_$arch" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
			-cf "$OUT/xlreg-$VERSION-linux-$arch.oci.tar" .
	done
	rm -rf "$store"
}

# image_tool runs buildah on a storage of its own, so that nothing is left behind and nothing
# of this machine is used.
image_tool() {
	buildah --root "$1/root" --runroot "$1/run" --storage-driver vfs "${@:2}"
}

# make_sbom lists the modules in each program.
make_sbom() {
	local system arch
	for system in $SYSTEMS; do
		for arch in $ARCHES; do
			go tool -modfile=tools/release/go.mod cyclonedx-gomod bin -json -noserial -notimestamp -version "$VERSION" \
				-output "$OUT/xlreg-$VERSION-$system-$arch.cdx.json" "$(binary "$system" "$arch")" 2>/dev/null
		done
	done
}

# make_python builds the wheel and the sdist from a copy, since building leaves files behind.
# setuptools gives the sdist the time of the day, so it is packed anew.
make_python() {
	local sdist=xlreg-$VERSION work=$STAGE/python
	rm -rf "$work"
	mkdir -p "$work"
	cp -r clients/python/src clients/python/pyproject.toml clients/python/README.md clients/python/LICENSE "$work"
	find "$work" \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +
	find "$work" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
	"$VENV/bin/python" -m build --no-isolation --outdir "$work/built" "$work" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
	mkdir "$work/again"
	tar -C "$work/again" -xzf "$work/built/$sdist.tar.gz"
	archive "$work/again" "$sdist" >"$OUT/$sdist.tar.gz"
	cp "$work/built/$sdist-py3-none-any.whl" "$OUT"
}

make_ruby() {
	local work=$STAGE/ruby
	rm -rf "$work"
	mkdir -p "$work"
	cp -r clients/ruby/. "$work"
	(cd "$work" && gem build --silent --output "$OUT/xlreg-$VERSION.gem" xlreg.gemspec)
}

# make_sums writes the checksums of everything, and signs them.
make_sums() {
	(cd "$OUT" && find . -maxdepth 1 -type f ! -name 'SHA256SUMS*' -printf '%f\n' | sort | xargs sha256sum >SHA256SUMS)
	rm -f "$OUT/SHA256SUMS.sig"
	if [ -z "${SIGN_KEY:-}" ]; then
		echo 'SHA256SUMS is not signed: give the file of an SSH key in SIGN_KEY' >&2
		return
	fi
	ssh-keygen -q -Y sign -f "$SIGN_KEY" -n file "$OUT/SHA256SUMS"
}

rm -rf "$STAGE"
[ "$#" -gt 0 ] || set -- deb rpm archives image sbom python ruby sums
for what; do
	"make_$what"
done
rm -rf "$STAGE"
