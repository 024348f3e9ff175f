#!/usr/bin/env bash
# System calls that fail, one after the other; and a core dump, which must show no secrets.
#   ci/faults.sh [target ...]      the native one unless told
. "$(dirname "$0")/lib.sh"
(($#)) || set -- "$NATIVE"
export RUST_TEST_THREADS=1

work=$CARGO_TARGET_DIR/ci
mkdir -p "$work"
# As in ci/suite.sh: dependencies are built once for all variants.
export RUSTC_WORKSPACE_WRAPPER=$work/rustc-faults
printf '#!/bin/sh\nexec "$@" --cfg siding_faults\n' >"$RUSTC_WORKSPACE_WRAPPER"
chmod +x "$RUSTC_WORKSPACE_WRAPPER"
for target in "$@"; do
    EXPECT_ARCH=$(arch_of "$target")
    export EXPECT_ARCH
    tests=(cargo test --package siding --features capi --target "$target" --test children --)
    if [[ $target == x86_64-* ]]; then
        command -v gcore >/dev/null || die "gcore is missing: run ci/setup.sh tools"
        "${tests[@]}" faults:: core_dump
    else
        # An emulator makes system calls of its own, and is what gdb would look at.
        "${tests[@]}" faults:: --skip sandbox
    fi
done
