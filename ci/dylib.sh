#!/usr/bin/env bash
# siding linked into a Rust dylib, its switch inlined into a test in another crate.
. "$(dirname "$0")/lib.sh"

log=$CARGO_TARGET_DIR/ci/dylib.log
mkdir -p "${log%/*}"
for cfg in "" "--cfg siding_outline"; do
    RUSTFLAGS="-C prefer-dynamic $cfg" cargo test --release -p siding-dylib --target "$NATIVE" \
        >"$log" 2>&1 || { cat "$log"; die "dylib $cfg fails"; }
    # Linked statically after all, the test would prove nothing.
    binary=$(sed -n 's@.*Running .*inlined\.rs (\(.*\))$@\1@p' "$log")
    [[ -x $binary ]] || die "the test program is not where it should be"
    readelf -d "$binary" | grep 'NEEDED.*libsiding_dylib' >/dev/null ||
        die "$binary is not linked to the dylib"
    grep '^test result' "$log"
done
