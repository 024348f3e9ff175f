#!/usr/bin/env bash
# Every bench once, and small: does it still run? What it prints then is no measurement.
. "$(dirname "$0")/lib.sh"

mkdir -p "$CARGO_TARGET_DIR/ci"
log=$CARGO_TARGET_DIR/ci/benches.log
cargo test --release --benches -- --test >"$log" 2>&1 || die "a bench fails: $(tail -n 20 "$log")"

# None may be left out: not by a feature, nor by the workspace.
ran=$(grep -c 'Running .*\.rs' <(grep -v unittests "$log"))
there=$(cat Cargo.toml benches/*/Cargo.toml | grep -c '^\[\[bench\]\]')
((ran == there)) || die "$ran of $there benches ran"
echo "$ran benches ran"
