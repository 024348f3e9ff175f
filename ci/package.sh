#!/usr/bin/env bash
# Is it fit to be published? What the package holds, that it builds from that alone, on the
# oldest Rust that Cargo.toml promises, and that nothing public has changed unnoticed.
#   ci/package.sh               checks
#   ci/package.sh --record      rewrites ci/package/api.txt
# There is no published version yet for cargo-semver-checks to compare with, and to build it
# takes longer than all this: so the public items are listed in a file, and whoever changes
# it thinks about CHANGELOG.md and the version.
. "$(dirname "$0")/lib.sh"
[[ ${1-} == "" || ${1-} == --record ]] || die "usage: ci/package.sh [--record]"

work=$CARGO_TARGET_DIR/ci/package
mkdir -p "$work"

# The JSON of rustdoc is not stable, and asks for this.
RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --package siding --all-features --lib --target-dir "$work/json" -- \
    -Z unstable-options --output-format json --cap-lints allow || die "rustdoc makes no JSON"
python3 ci/package/api.py "$work/json/doc/siding.json" >"$work/api.txt" || die "rustdoc's JSON has changed"
if [[ ${1-} == --record ]]; then
    cp "$work/api.txt" ci/package/api.txt
    exit
fi
diff ci/package/api.txt "$work/api.txt" ||
    die "what is public was recorded (<) and is now (>) different: CHANGELOG.md, then ci/package.sh --record"

# Everything that is needed, and nothing that is not.
cargo package --quiet --package siding --list --allow-dirty >"$work/list"
for file in README.md LICENSE-MIT LICENSE-APACHE CHANGELOG.md build.rs asm/x86_64.S include/siding.h \
    src/lib.rs docs/guide/safety.md tools/gdb/siding.py examples/man_page.rs; do
    grep -qx "$file" "$work/list" || die "the package lacks $file"
done
extra=$(grep -E '^(ci|\.ci|target)/|^examples/[a-z_]+/' "$work/list" | grep -v '^examples/c/') &&
    die "the package holds $extra"
cargo package --package siding --allow-dirty --target-dir "$work/build" >"$work/log" 2>&1 ||
    die "the package does not build: $(cat "$work/log")"
! grep '^warning' "$work/log" || die "the package is not clean"

oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if rustup toolchain install "$oldest" --profile minimal --no-self-update >"$work/log" 2>&1; then
    for features in --no-default-features --features=trace,capi,tokio,async-io; do
        cargo "+$oldest" check --quiet --package siding --lib "$features" --target-dir "$work/oldest" ||
            die "does not build with Rust $oldest $features"
    done
    echo "$(wc -l <ci/package/api.txt) public items, $(wc -l <"$work/list") files, builds with Rust $oldest"
else
    echo "NOT TESTED: Rust $oldest, which could not be installed; clippy knows what it lacks"
fi
