#!/usr/bin/env bash
# A run on the wrong machine must fail: tells the native one to expect another.
. "$(dirname "$0")/lib.sh"

output=$(EXPECT_ARCH=none cargo test --package siding --tests --features capi --target "$NATIVE" --no-fail-fast -- \
    runs_on_the_expected_architecture 2>&1) && die "no test notices the wrong architecture"
refused=$(grep -cE '^test .*runs_on_the_expected_architecture \.\.\. FAILED' <<<"$output") ||
    die "it failed, but not by the test that looks at the architecture: $output"
programs=$(grep -c '^\[\[test\]\]$' Cargo.toml)
((refused == programs)) || die "$refused test programs refuse, there are $programs"
echo "refused by $refused test programs"
