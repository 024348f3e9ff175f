#!/usr/bin/env bash
# System calls that fail, one after the other; and a core dump, which must show no secrets.
#   ci/faults.sh [target ...]      the native one unless told
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh
(($#)) || set -- "$NATIVE"
export RUST_TEST_THREADS=1

with_flags faults --cfg siding_faults

run() { # <flags for the tests ...>
    cargo test --package siding --features capi --target "$target" --test children -- "$@"
}

for target in "$@"; do
    EXPECT_ARCH=$(arch_of "$target")
    export EXPECT_ARCH
    # A filter that fits nothing succeeds, too: so many tests must pass at least.
    if [[ $target == x86_64-* ]]; then
        command -v gcore >/dev/null || die "gcore is missing: run ci/setup.sh tools"
        tests=(a_machine:: faults:: core_dump) least=22
    else
        # An emulator makes system calls of its own, and is what gdb would look at.
        tests=(a_machine:: faults:: --skip sandbox) least=19
    fi
    log=$CARGO_TARGET_DIR/ci/$target-faults.log
    run_into "$target" "$log" "${tests[@]}" || { cat "$log"; die "$target: not as it should be"; }
    passed=$(passed_in "$log")
    ((passed >= least)) || { cat "$log"; die "$target: $passed tests passed, not $least"; }
    echo "$target: $passed tests with system calls that fail passed"
done
