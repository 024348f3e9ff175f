#!/usr/bin/env bash
# Is memcheck content with no help from the command line, and does it find a bug in a job?
#   ci/memcheck.sh
# A part of the suite that has every kind of switch, less the tests in ci/memcheck.txt; any
# error or leak is a failure. Stacks lie less than 2 MiB apart, where memcheck takes a
# switch for a large frame unless it was told of the stacks: so it has been told.
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh

FILES=(suite c_extensions)
# Tests fork children: one thread.
export RUST_TEST_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

FOUND=99 # exit status of memcheck, whatever that of the program
memcheck=(valgrind -q --error-exitcode="$FOUND" --leak-check=full --errors-for-leak-kinds=definite
    --show-leak-kinds=definite --fair-sched=try)
command -v valgrind >/dev/null || die "valgrind is missing (package valgrind)"

# Prints the programs of the test files.
programs() {
    cargo test --no-run --package siding --features capi --target "$NATIVE" "${FILES[@]/#/--test=}" 2>&1 |
        sed -n 's/^ *Executable .*(\(.*\))$/\1/p'
}

check() { # <program>
    local leaks=() status=0 attempt
    # The tests of the C ABI are for other libraries, too, and do not clean up.
    [[ $1 != */c_* ]] || leaks=(--leak-check=no)
    # Threads run one at a time, and slowly: a test that counts on time may need another go.
    # What memcheck itself has found may not.
    for attempt in 1 2; do
        status=0
        timeout 300 "${memcheck[@]}" "${leaks[@]}" "$1" "${skips[@]}" >"$1.memcheck" 2>&1 || status=$?
        ((status != 0 && status != FOUND)) || break
        echo "memcheck: $1: exit status $status at attempt $attempt" >&2
        grep -aE '^test .* FAILED|panicked' "$1.memcheck" >&2 || tail -n 3 "$1.memcheck" >&2
    done
    ((status == 0)) || {
        cat "$1.memcheck" >&2
        grep -aE '^==[0-9]+== [A-Z]|^test .* FAILED|panicked' "$1.memcheck" >&2
        die "memcheck is not content with $1: exit status $status"
    }
    ! grep -a 'client switching stacks' "$1.memcheck" || die "memcheck was not told of a stack in $1"
    grep -a '^test result: ' "$1.memcheck"
}

found=$(programs)
mapfile -t found <<<"$found"
((${#found[@]} == ${#FILES[@]})) || die "these test files do not build: ${FILES[*]}"
left_out=$(for program in "${found[@]}"; do "$program" --list; done |
    sed -n 's/: test$//p' | named_in ci/memcheck.txt) || die "whom does ci/memcheck.txt mean?"
mapfile -t left_out <<<"$left_out"
skips=(--exact)
for name in "${left_out[@]}"; do
    skips+=(--skip "$name")
done
passed=0
for program in "${found[@]}"; do
    result=$(check "$program")
    count=$(awk '{ print $4 }' <<<"$result")
    passed=$((passed + count))
done
echo "memcheck: $passed tests in ${#found[@]} files passed, ${#left_out[@]} left out"

cargo build --quiet --package siding-planted --target "$NATIVE"
planted=("${memcheck[@]}" "$CARGO_TARGET_DIR/$NATIVE/debug/planted")
"${planted[@]}" >"$work/log" 2>&1 || { cat "$work/log" && die "not content without a bug"; }
for bug in 'heap Invalid read' 'unset depends on uninitialised' 'leak definitely lost'; do
    status=0
    "${planted[@]}" "${bug%% *}" >"$work/log" 2>&1 || status=$?
    grep -q "${bug#* }" "$work/log" || status=0
    ((status != 0)) || { cat "$work/log" && die "the planted bug (${bug%% *}) is not found"; }
    echo "memcheck: ${bug%% *} is found"
done
