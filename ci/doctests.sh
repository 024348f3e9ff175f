#!/usr/bin/env bash
# The examples in the documentation, and what must not compile: with the error codes, which
# a stable rustdoc ignores unless told.
. "$(dirname "$0")/lib.sh"

mkdir -p "$CARGO_TARGET_DIR/ci"
export RUSTDOC=$CARGO_TARGET_DIR/ci/rustdoc
printf '#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc "$@"\n' >"$RUSTDOC"
chmod +x "$RUSTDOC"
cargo test --quiet --doc --package siding --all-features --target "$NATIVE"

# That it does look at the codes.
probe=$CARGO_TARGET_DIR/ci/wrong_code.rs
cat >"$probe" <<'END'
//! ```compile_fail,E0277
//! let one: u8 = "";
//! ```
END
! "$RUSTDOC" --test --edition 2024 "$probe" >/dev/null 2>&1 ||
    die "a compile_fail test with the wrong error code passes"
