#!/usr/bin/env bash
# siding linked into a Rust dylib, its switch inlined into a test in another crate.
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh

log=$CARGO_TARGET_DIR/ci/dylib.log
mkdir -p "${log%/*}"
for form in inline outline; do
    flags=(-C prefer-dynamic)
    [[ $form == inline ]] || flags+=(--cfg siding_outline)
    with_flags "dylib-$form" "${flags[@]}"
    cargo test --release -p siding-dylib --target "$NATIVE" >"$log" 2>&1 ||
        { cat "$log"; die "dylib, $form: fails"; }
    # Linked statically after all, the test would prove nothing.
    binary=$(sed -n 's@.*Running .*inlined\.rs (\(.*\))$@\1@p' "$log")
    [[ -x $binary ]] || die "the test program is not where it should be"
    readelf -d "$binary" | grep 'NEEDED.*libsiding_dylib' >/dev/null ||
        die "$binary is not linked to the dylib"
    grep '^test result' "$log"
done
