#!/usr/bin/env bash
# Runs the suite on one target in several variants, and prints everything when it is done,
# so that several of these may run at a time.
#   ci/variants.sh <target> <variant ...>
. "$(dirname "$0")/lib.sh"
target=${1:?target}
shift

mkdir -p "$CARGO_TARGET_DIR/ci"
log=$CARGO_TARGET_DIR/ci/$target.variants.log
all() {
    local begin variant
    for variant in "$@"; do
        begin=$SECONDS
        ci/suite.sh "$target" "$variant" || return 1
        echo "$target $variant: $((SECONDS - begin)) s"
    done
}
status=0
all "$@" >"$log" 2>&1 || status=255 # which tells xargs to start nothing more
printf '\n=== %s: %s\n' "$target" "$*"
cat "$log"
exit "$status"
