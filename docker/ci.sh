#!/usr/bin/env bash
# Builds the image without a daemon and runs it as it will be run: no network but
# loopback, read-only root, a numeric user, no capabilities. The last stage of the
# Dockerfile is used as it stands; what its first stage makes is made here, since
# no base image can be pulled everywhere. Then the parts of compose.yaml, with the
# commands that it holds. Needs Go and gcc; buildah and podman, else it says so.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in buildah podman; do
	command -v $tool >/dev/null || { echo "image: skipped, $tool is not here (apt-get install buildah podman runc)"; exit 0; }
done
runtime=$(PATH=$PATH:/usr/sbin command -v runc || command -v crun) || { echo "image: skipped, neither runc nor crun is here"; exit 0; }

work=$(mktemp -d)
store=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
engine() { podman "${store[@]}" --runtime "$runtime" --cgroup-manager cgroupfs "$@"; }
clean() {
	engine rm --all --force --volumes >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap clean EXIT
fail() { printf 'image: %s\n' "$*" >&2; exit 1; }

docker/build.sh "$work/out"
sed -n '/^FROM scratch/,$p' docker/Dockerfile | sed 's#--from=build ##; s#/out/##' >"$work/Dockerfile"
buildah "${store[@]}" bud --quiet --isolation chroot --file "$work/Dockerfile" --tag kreplay "$work/out" >/dev/null

user=$(engine image inspect --format '{{.Config.User}}' kreplay)
[ "$user" = 65532:65532 ] || fail "the image runs as '$user'"

# Without --read-only-tmpfs=false podman lays filesystems of its own over /tmp and
# /run; ulimits are set since a container may not raise those of the one around it.
hardened=(--read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges --ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
kreplay() { engine run --rm --network none "${hardened[@]}" kreplay "$@"; }

kreplay version
kreplay run smoke --local --progress none || fail "run smoke --local exits $?"
if out=$(kreplay run smoke --local --users 1 --run-dir /elsewhere 2>&1); then
	fail "the root is not read-only: $out"
fi
grep -q 'read-only file system' <<<"$out" || fail "a run directory outside /tmp: $out"

# words prints the command of a service of compose.yaml, a word a line.
words() {
	awk -v s="  $1:" '$0 == s { found = 1 } found && $1 == "command:" { sub(/^ *command: *\[/, ""); sub(/\]$/, ""); gsub(/"/, ""); gsub(/, */, "\n"); print; exit }' docker/compose.yaml
}
service() { # NAME, then flags of podman run
	local name=$1
	shift
	mapfile -t command < <(words "$name")
	[ ${#command[@]} -gt 0 ] || fail "compose.yaml has no service $name"
	engine run --name "$name" "$@" "${hardened[@]}" --env AWS_ENDPOINT_URL=http://127.0.0.1:4566 \
		--env KREPLAY_RUN_ID=launch --env KREPLAY_ANCHOR=2026-11-01T00:00:00Z kreplay "${command[@]}"
}
service pipeline --detach --network none >/dev/null
for _ in $(seq 50); do
	engine logs pipeline 2>/dev/null | grep -q 'Kinesis and S3 on' && break
	sleep 0.1
done
service worker-1 --network container:pipeline &
one=$!
service worker-2 --network container:pipeline
wait "$one"
service verify --network container:pipeline | tee "$work/verdict"
grep -q '^PASS smoke: 8,000 planned, 8,000 delivered' "$work/verdict" || fail "two workers are not one run"
# SIGTERM ends it at once, and cleanly.
engine stop --time 25 pipeline >/dev/null
status=$(engine inspect --format '{{.State.ExitCode}}' pipeline)
[ "$status" = 0 ] || fail "SIGTERM: exit $status"
echo "image: $(du -h "$work/out/kreplay" | cut -f1), runs as $user with a read-only root"
