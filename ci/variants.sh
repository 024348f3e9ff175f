#!/usr/bin/env bash
# Runs the suite on one target in several variants, and prints everything when it is done,
# so that several of these may run at a time.
#   ci/variants.sh <target> <variant ...>
. "$(dirname "$0")/lib.sh"
target=${1:?target}
shift

mkdir -p "$CARGO_TARGET_DIR/ci"
log=$CARGO_TARGET_DIR/ci/$target.variants.log
finish() {
    local status=$?
    printf '\n=== %s: %s\n' "$target" "$variants"
    cat "$log"
    # For xargs: start nothing more.
    ((status == 0)) || exit 255
}
variants=$*
trap finish EXIT
for variant in "$@"; do
    begin=$SECONDS
    ci/suite.sh "$target" "$variant"
    echo "$target $variant: $((SECONDS - begin)) s"
done >"$log" 2>&1
