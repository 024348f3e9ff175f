#!/usr/bin/env bash
# siding linked into a Rust dylib, its switch inlined into a test in another crate.
. "$(dirname "$0")/lib.sh"

for cfg in "" "--cfg siding_outline"; do
    RUSTFLAGS="-C prefer-dynamic $cfg" \
        cargo test --quiet --release -p siding-dylib --target "$NATIVE" || die "dylib $cfg fails"
done

# Linked statically after all, the test would prove nothing.
binaries=0
for binary in "$CARGO_TARGET_DIR/$NATIVE"/release/deps/inlined-*; do
    [[ -x $binary ]] || continue
    binaries=$((binaries + 1))
    readelf -d "$binary" | grep 'NEEDED.*libsiding_dylib' >/dev/null ||
        die "$binary is not linked to the dylib"
done
((binaries > 0)) || die "the test program is not where it should be"
