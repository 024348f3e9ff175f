#!/usr/bin/env bash
# Builds siding and its examples with `panic = "abort"`, and checks what becomes of suspended jobs and
# coroutines there.
. "$(dirname "$0")/lib.sh"

export CARGO_PROFILE_RELEASE_PANIC=abort
cargo build --quiet --release --package siding --all-features --lib --examples --target "$NATIVE"
cargo build --quiet --release --package siding-panic-abort --target "$NATIVE"
program=$CARGO_TARGET_DIR/$NATIVE/release/panic_abort
"$program"
status=0
ulimit -c 0
words=$("$program" scope 2>&1) || status=$?
((status == 134)) || die "a scoped coroutine left suspended: status $status, $words"
[[ $words == *"could not be unwound"* ]] || die "it does not say why: $words"
