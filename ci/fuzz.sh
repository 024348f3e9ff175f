#!/usr/bin/env bash
# Sequences of public calls against a model of them (arch-tests/fuzz).
#   ci/fuzz.sh                replays the corpus, tries new sequences, soaks for 20 s
#   ci/fuzz.sh run <seconds>  runs libFuzzer, which keeps what it finds in the corpus
#   ci/fuzz.sh soak <seconds> runs the soak
. "$(dirname "$0")/lib.sh"

fuzz() { # <seconds>
    local work=$CARGO_TARGET_DIR/fuzz flag flags=(--cfg fuzzing)
    # What cargo-fuzz passes, less the sanitizer.
    flags+=(-Cpasses=sancov-module -Ccodegen-units=1)
    for flag in level=4 inline-8bit-counters pc-table trace-compares; do
        flags+=("-Cllvm-args=-sanitizer-coverage-$flag")
    done
    RUSTFLAGS=${flags[*]} cargo build --quiet --release --target "$NATIVE" \
        --manifest-path arch-tests/fuzz/libfuzzer/Cargo.toml --target-dir "$work"
    mkdir -p "$work/found" "$work/crashes"
    nice -n 10 "$work/$NATIVE/release/sequences" "$work/found" arch-tests/fuzz/corpus \
        -max_total_time="$1" -max_len=400 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$work/crashes/" -print_final_stats=1
    # A small set that covers as much, to be copied to the corpus.
    rm -rf "$work/merged"
    mkdir "$work/merged"
    "$work/$NATIVE/release/sequences" -set_cover_merge=1 -use_counters=0 -max_len=400 "$work/merged" \
        "$work/found" arch-tests/fuzz/corpus 2>"$work/merge.log"
    echo "$(find "$work/merged" -type f | wc -l) sequences cover as much: $work/merged"
}

case ${1-} in
    run) fuzz "${2:?seconds}" ;;
    soak) cargo run --quiet --release --package siding-fuzz --bin soak -- "${2:?seconds}" ;;
    "")
        cargo test --quiet --package siding-fuzz --target "$NATIVE"
        cargo run --quiet --release --package siding-fuzz --bin soak -- 20
        ;;
    *) die "usage: ci/fuzz.sh [run <seconds> | soak <seconds>]" ;;
esac
