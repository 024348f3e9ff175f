#!/usr/bin/env bash
# The C ABI against the system's libcrypto: the same tests once with its functions and once
# with siding preloaded, line by line; then what siding does better, with libcrypto's error
# queue to look at; and random sequences of calls on both.
. "$(dirname "$0")/lib.sh"

work=$CARGO_TARGET_DIR/ci
mkdir -p "$work"
export RUST_TEST_THREADS=1
ulimit -c 0

cargo rustc --quiet --release --lib --features capi --crate-type cdylib --target "$NATIVE" ||
    die "libsiding.so does not build"
library=$CARGO_TARGET_DIR/$NATIVE/release/libsiding.so

# Prints "name path" of each test program.
programs() {
    cargo test --quiet --no-run --message-format json --release -p siding-differential \
        --target "$NATIVE" || die "the programs do not build"
}
programs | jq -r 'select(.executable and .profile.test) | .target.name + " " + .executable'
