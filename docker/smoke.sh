#!/usr/bin/env bash
# The smoke test of the CPU image, as an operator would use it: ready, a match, SIGTERM, models that are mounted, a broken bundle.
#
#   docker/smoke.sh [IMAGE]      default homolog:cpu; `make docker` calls it
#
# Needs docker and curl. Each step says a line; the first that fails says why, shows the container's log and ends the test.
set -euo pipefail

image=${1:-homolog:cpu}
docker=${DOCKER:-docker}
root=$(cd "$(dirname "$0")/.." && pwd)
name=homolog-smoke-$$
work=$(mktemp -d)
# What the image promises to be content with.
locked=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --volume "$name:/var/lib/homolog")

clean() {
    "$docker" rm --force --volumes "$name" >/dev/null 2>&1 || true
    "$docker" volume rm "$name" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean EXIT

pass() { printf 'ok    %s\n' "$1"; }
fail() {
    printf 'FAIL  %s\n' "$1" >&2
    "$docker" logs --tail 20 "$name" >&2 2>/dev/null || true
    exit 1
}

# start ARGUMENTS…: a container of the image
start() {
    "$docker" rm --force "$name" >/dev/null 2>&1 || true
    "$docker" run --detach --name "$name" --publish 127.0.0.1::8080 "${locked[@]}" "$@" "$image" >/dev/null \
        || fail 'the container does not start'
}

# ready: waits until the binary itself says so; then `url` is where it is reached
ready() {
    for _ in $(seq 120); do
        if "$docker" exec "$name" homolog health >/dev/null 2>&1; then
            url=http://$("$docker" port "$name" 8080/tcp | head -n 1)
            return
        fi
        [ "$("$docker" inspect --format '{{.State.Running}}' "$name")" = true ] || fail 'the container ended before it was ready'
        sleep 0.5
    done
    "$docker" exec "$name" homolog health >&2 || true
    fail 'the service was not ready within a minute'
}

# get PATH
get() { curl --fail --silent --show-error --max-time 30 "$url$1" || fail "GET $1 was not answered"; }

# match MODEL FILE: two photos, two points; the answer into FILE
match() {
    local status
    status=$(curl --silent --show-error --max-time 60 --output "$2" --write-out '%{http_code}' "$url/match" \
        --form "source=@$root/openapi/examples/a.jpg" --form "target=@$root/openapi/examples/b.jpg" \
        --form "request={\"model\": \"$1\", \"points\": [[400, 60], [240, 180]]}") || fail 'POST /match was not answered'
    [ "$status" = 200 ] || fail "POST /match answered $status: $(cat "$2")"
    [ "$(grep -o '"similarity"' "$2" | wc -l)" = 2 ] || fail "the answer has not two matches: $(cat "$2")"
}

# models: the ids of GET /models, in a line
models() { get /models | grep -o '"id":"[^"]*"' | cut -d '"' -f 4 | sort | paste -s -d ' '; }

# copy FOLDER ID: the demo's bundle under another id
copy() {
    mkdir -p "$1"
    cp "$root"/models/demo/* "$1"/
    sed -i "s/\"id\": \"demo\"/\"id\": \"$2\"/" "$1/manifest.json"
    chmod -R a+rX "$1"
}

# flip FILE: another byte in its middle
flip() {
    local at byte
    at=$(($(stat --format %s "$1") / 2))
    byte=$(od --address-radix n --format u1 --skip-bytes "$at" --read-bytes 1 "$1")
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((byte ^ 255)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

command -v "$docker" >/dev/null || { echo "smoke test: $docker is not here" >&2; exit 1; }
command -v curl >/dev/null || { echo 'smoke test: curl is not here' >&2; exit 1; }
size=$("$docker" image inspect --format '{{.Size}}' "$image") || { echo "smoke test: there is no image $image" >&2; exit 1; }
user=$("$docker" image inspect --format '{{.Config.User}}' "$image")
case "$user" in '' | 0 | 0:* | root*) fail "the image runs as ${user:-root}" ;; esac
pass "$image, $((size / 1000000)) MB, runs as $user"

start
ready
pass "ready with a read-only root and no capabilities: $("$docker" exec "$name" homolog health)"
for _ in $(seq 60); do
    health=$("$docker" inspect --format '{{.State.Health.Status}}' "$name")
    [ "$health" != starting ] && break
    sleep 0.5
done
[ "$health" = healthy ] || fail "the engine's health check says $health"
pass 'the health check of the image says healthy'

[ "$("$docker" exec "$name" id -u)" = 10001 ] || fail 'the process is not of user 10001'
if "$docker" exec "$name" touch /usr/local/bin/x 2>/dev/null; then fail 'the root can be written'; fi
pass 'user 10001 cannot write outside its volume and /tmp'

match demo "$work/first.json"
pass "a match on two photos: $(grep -o '"target":\[[^]]*\]' "$work/first.json" | paste -s -d ' ')"

get /metrics >"$work/metrics"
grep -q '^homolog_http_requests_total{.*route="/match".*} 1$' "$work/metrics" || fail '/metrics does not count the match'
pass "GET /metrics counts it, beside $(grep -c '^# TYPE' "$work/metrics") metrics in all"

# Different files, so that none is answered for another: bytes behind a picture's end are not looked at.
targets=()
for index in $(seq 24); do
    { cat "$root/openapi/examples/b.jpg"; echo "$index"; } >"$work/$index.jpg"
    targets+=(--form "target=@$work/$index.jpg")
done
curl --silent --max-time 60 --output "$work/under-way.json" --write-out '%{http_code}' "$url/match" \
    --form "source=@$root/openapi/examples/a.jpg" "${targets[@]}" \
    --form 'request={"points": [[400, 60]], "resolution": 448}' >"$work/status" &
under_way=$!
sleep 0.7
"$docker" kill --signal TERM "$name" >/dev/null
answered=$(kill -0 "$under_way" 2>/dev/null && echo 'a match under way' || echo 'a match just before')
wait "$under_way" || fail 'the match under way at SIGTERM was cut off'
[ "$(cat "$work/status")" = 200 ] || fail "the match under way at SIGTERM was answered $(cat "$work/status")"
[ "$(grep -o '"similarity"' "$work/under-way.json" | wc -l)" = 24 ] || fail 'the match under way at SIGTERM came incomplete'
code=$(timeout 40 "$docker" wait "$name") || fail 'the service did not end after SIGTERM'
[ "$code" = 0 ] || fail "the service ended with $code after SIGTERM"
"$docker" logs "$name" 2>&1 | grep -q '"stopping"' || fail 'the log does not say that the service stopped'
pass "SIGTERM: $answered was answered in full, exit status $code"

copy "$work/mounted" mounted
start --volume "$work/mounted:/models/mounted:ro"
ready
[ "$(models)" = 'demo mounted' ] || fail "beside the demo there should be the mounted model; there is: $(models)"
match mounted "$work/second.json"
sed 's/"model":"mounted"/"model":"demo"/' "$work/second.json" | cmp --silent - "$work/first.json" \
    || fail 'the mounted copy answers otherwise than the demo did'
pass "restarted with a bundle mounted beside the demo ($(models)); it gives the same match"

mkdir "$work/all"
copy "$work/all/own" own
chmod a+rX "$work/all"
start --volume "$work/all:/models:ro"
ready
[ "$(models)" = own ] || fail "in place of the demo there should be the mounted folder; there is: $(models)"
pass "restarted with a folder mounted over /models ($(models))"

copy "$work/broken" broken
flip "$work/broken/head.bin"
start --volume "$work/broken:/models/broken:ro"
ready
[ "$(models)" = demo ] || fail "a broken bundle should be left out; there is: $(models)"
"$docker" logs "$name" 2>&1 | grep 'broken' | grep -q 'head.bin has sha256' || fail 'the log does not name the broken bundle and its file'
pass 'a broken bundle (one byte of head.bin) is left out beside the demo, and named in the log'

mkdir "$work/none"
copy "$work/none/broken" broken
flip "$work/none/broken/head.bin"
chmod a+rX "$work/none"
start --volume "$work/none:/models:ro"
code=$(timeout 60 "$docker" wait "$name") || fail 'a service with nothing but a broken bundle goes on'
[ "$code" = 1 ] || fail "a service with nothing but a broken bundle ended with $code"
said=$("$docker" logs "$name" 2>&1 | grep '^error: ') || fail 'a service with nothing but a broken bundle does not say why it ends'
pass "alone it is refused, exit status $code: ${said#error: }"

echo "smoke test of $image passed"
