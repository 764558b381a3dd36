#!/usr/bin/env bash
# What the image is made of, into a directory: the static binary, CA certificates
# and an empty data/tmp. Needs Go and gcc; runs in the Dockerfile and in docker/ci.sh.
set -euo pipefail
out=${1:?directory to build into}
cd "$(dirname "$0")/.."
mkdir -p "$out/data/tmp"
chmod 1777 "$out/data/tmp"

# The linker warns that dlopen, getpwuid and getaddrinfo of DuckDB would need a
# libc at run time. kreplay loads no extension of it and opens no file below ~ or
# on the network through it, and Go's own resolver is built in (netgo, osusergo).
CGO_ENABLED=1 go build -trimpath -tags netgo,osusergo -ldflags '-s -w -linkmode external -extldflags "-static"' \
	-o "$out/kreplay" ./cmd/kreplay 2>"$out/link.log" || { cat "$out/link.log" >&2; exit 1; }
grep -vE '^# kreplay|/usr/bin/ld: .* in function |warning: Using .(dlopen|getpwuid|getaddrinfo). in statically linked' "$out/link.log" >&2 || true
rm "$out/link.log"
if readelf -d "$out/kreplay" | grep -q NEEDED; then
	echo "build: $out/kreplay is not static" >&2
	exit 1
fi
cp /etc/ssl/certs/ca-certificates.crt "$out/"
