#!/usr/bin/env bash
# Runs a command and prints what it says when it has ended, so that several may run at a time.
#   ci/buffered.sh <command line>
. "$(dirname "$0")/lib.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
begin=$SECONDS status=0
bash -c "$1" >"$log" 2>&1 || status=$?
printf '\n=== %s\n' "$1"
cat "$log"
echo "$((SECONDS - begin)) s for $1"
((status == 0)) || {
    mkdir -p "$CARGO_TARGET_DIR/ci"
    { tail -n 15 "$log" && echo "failed: $1"; } >"$CARGO_TARGET_DIR/ci/failure"
    exit 255 # which tells xargs to start nothing more
}
