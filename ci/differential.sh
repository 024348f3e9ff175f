#!/usr/bin/env bash
# The C ABI against the system's libcrypto: the tests of what both do run once with its
# functions and once with siding preloaded, and must pass and print the same; then what
# siding does better, with libcrypto's error queue to look at; and random sequences of calls
# on both.
. "$(dirname "$0")/lib.sh"

work=$CARGO_TARGET_DIR/ci
mkdir -p "$work"
export RUST_TEST_THREADS=1
ulimit -c 0

cargo rustc --quiet --release --lib --features capi --crate-type cdylib --target "$NATIVE" ||
    die "libsiding.so does not build"
SIDING_LIBRARY=$CARGO_TARGET_DIR/$NATIVE/release/libsiding.so
[[ -e $SIDING_LIBRARY ]] || die "$SIDING_LIBRARY is not where it should be"
export SIDING_LIBRARY

declare -A programs=()
while read -r name path; do
    programs[$name]=$path
done < <(cargo test --no-run --release -p siding-differential --target "$NATIVE" 2>&1 |
    sed -nE 's@.*Executable.*tests/([a-z]+)\.rs \((.*)\)$@\1 \2@p')
((${#programs[@]} == 4)) || die "not four test programs, but: ${!programs[*]}"

# Runs one; what it prints goes to its log.
run() { # <program> <log> <library that must get the calls> [setting of the environment ...]
    local program=${programs[$1]} log=$work/differential-$2
    EXPECT_LIBRARY=$3 env "${@:4}" "$program" --nocapture >"$log" 2>"$log.err" ||
        { cat "$log" "$log.err" >&2; die "$1 fails: $2"; }
    grep '^test result: ok' "$log" || die "$1 printed no result: $2"
}

# Whether two logs have the same lines, but for times.
compare() { # <log> <log>
    diff <(sed 's/; finished in .*//' "$work/differential-$1") \
        <(sed 's/; finished in .*//' "$work/differential-$2")
}

run keep original libcrypto.so
run keep siding libsiding.so LD_PRELOAD="$SIDING_LIBRARY"
compare original siding || die "libcrypto (<) and siding (>) do not print the same"
lines=$(grep -c ' -> ' "$work/differential-siding") || die "no calls were printed"

# A wrong line must be seen, and a wrong function.
sed '0,/get_fd(1) -> 1/s//get_fd(1) -> 2/' "$work/differential-siding" >"$work/differential-spoiled"
! compare original spoiled >/dev/null || die "a line was changed, and nobody notices"
echo 'int ASYNC_WAIT_CTX_get_status(void *ctx) { return ctx ? 2 : 0; }' |
    gcc -shared -fPIC -x c - -o "$work/spoiler.so" || die "the spoiler does not build"
! (run keep spoiled libsiding.so LD_PRELOAD="$work/spoiler.so $SIDING_LIBRARY") &>/dev/null ||
    die "a function was replaced, and nobody notices"
grep -qx '    keep::wait_ctx::a_status_is_any_int_and_0_at_first' "$work/differential-spoiled" ||
    die "a function was replaced, and its own test does not fail"

run better better libsiding.so LD_PRELOAD="$SIDING_LIBRARY"
run sequences sequences -
run late late -
echo "$lines calls answered as by $(grep -m 1 -o 'OpenSSL [0-9].*' "$work/differential-siding")"
