#!/usr/bin/env bash
# A run on the wrong machine must fail: tells every test binary to expect another one.
. "$(dirname "$0")/lib.sh"

output=$(EXPECT_ARCH=none cargo test --tests --all-features --target "$NATIVE" --no-fail-fast -- \
    runs_on_the_expected_architecture 2>&1) && die "no test notices the wrong architecture"

# The unit tests (src/lib.rs) are native Rust only; each program in arch-tests must fail.
awk '
    / +Running / { file = $2 == "unittests" ? "" : $2 }
    /^test result: ok/ && file { print file " does not include expect_arch.rs"; bad = 1 }
    /^test result: FAILED/ && file { failed++ }
    END {
        if (!failed) { print "nothing failed by a test; see whether it builds"; bad = 1 }
        else print failed " test programs refuse the wrong architecture"
        exit bad
    }' <<<"$output" || die "a run on the wrong machine could pass"
