#!/bin/sh
# Starts two whole providers with empty data directories, and storage of people's own where s3s-fs is installed; runs the
# browser journeys against them, stops everything.
#
#   FREEHOLD_BIN   the freehold program (default: target/debug/freehold of this workspace)
#   SHOTS          where pictures of the pages go (default: none)
#   PHOTOS         a folder of photographs to upload (default: pictures are drawn)
#   PORT_A PORT_B  two free ports (default: any two)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bin=${FREEHOLD_BIN:-$here/../../target/debug/freehold}
free() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }
port_a=${PORT_A:-$(free)}
port_b=${PORT_B:-$(free)}
work=$(mktemp -d)
pid_a='' pid_b='' pid_s3=''

stop() {
    [ -z "$pid_s3" ] || kill "$pid_s3" 2>/dev/null || true
    for pid in $pid_a $pid_b; do
        kill -INT "$pid" 2>/dev/null || true
    done
    for pid in $pid_a $pid_b; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

if [ ! -d "$here/node_modules/playwright-core" ]; then
    (cd "$here" && npm ci --no-audit --no-fund --ignore-scripts)
fi

# start NAME PORT DOMAIN: leaves the program's number in $started
start() {
    FREEHOLD_DATA="$work/$1" FREEHOLD_LISTEN="127.0.0.1:$2" FREEHOLD_SITES_DOMAIN="$3" FREEHOLD_PLACES_ALLOW_PRIVATE=true \
        "$bin" serve >"$work/$1.out" 2>"$work/$1.log" &
    started=$!
}

# link NAME: the one-time link the provider prints at its first start
link() {
    for _ in $(seq 300); do
        found=$(grep -o 'http[^ ]*/setup?token=[^ ]*' "$work/$1.out" || true)
        [ -n "$found" ] && { echo "$found"; return; }
        grep -q '^freehold: ' "$work/$1.log" && break
        sleep 0.1
    done
    echo "provider $1 did not start:" >&2
    cat "$work/$1.out" "$work/$1.log" >&2
    return 1
}

if command -v s3s-fs >/dev/null || [ -n "${FREEHOLD_REQUIRE_PEERS:-}" ]; then
    port_s3=$(free) PLACE_KEY=key-of-the-journey PLACE_SECRET=an-open-sesame-nobody-guesses
    mkdir -p "$work/s3/copies"
    s3s-fs --host 127.0.0.1 --port "$port_s3" --access-key $PLACE_KEY --secret-key $PLACE_SECRET "$work/s3" >"$work/s3.log" 2>&1 &
    pid_s3=$! PLACE="http://127.0.0.1:$port_s3"
    export PLACE PLACE_KEY PLACE_SECRET
fi
start a "$port_a" localhost
pid_a=$started
start b "$port_b" other.localhost
pid_b=$started
A_SETUP=$(link a)
B_SETUP=$(link b)
export A_SETUP B_SETUP
export A_ORIGIN="http://localhost:$port_a" B_ORIGIN="http://other.localhost:$port_b"

good=0
node "$here/journey.mjs" || good=1
node "$here/noscript.mjs" || good=1
node "$here/moving.mjs" || good=1
node "$here/store.mjs" || good=1
node "$here/domains.mjs" || good=1
FREEHOLD_BIN=$bin node "$here/making.mjs" || good=1
if [ $good -ne 0 ]; then
    for name in a b; do
        echo "--- the last lines of provider $name"
        tail -n 40 "$work/$name.out" "$work/$name.log"
    done
fi
exit $good
