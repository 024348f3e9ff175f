#!/usr/bin/env bash
# Runs the suite on one target in several variants.
#   ci/variants.sh <target> <variant ...>
. "$(dirname "$0")/lib.sh"
target=${1:?target}
shift
for variant in "$@"; do
    begin=$SECONDS
    ci/suite.sh "$target" "$variant"
    echo "$target $variant: $((SECONDS - begin)) s"
done
