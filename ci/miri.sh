#!/usr/bin/env bash
# Is Miri content, and does it find a bug in a job?
#   ci/miri.sh
# It interprets Rust alone, and checks what no tool at run time can: aliasing, the validity of
# every value, provenance. A context is a thread there (src/arch/miri.rs). The unit tests run,
# and a part of the suite, for it is slow; less the tests in ci/miri.txt.
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh

PARTS=(coroutine:: drops:: job::block:: job::cancel:: job::nesting::)
# Time and files are the machine's; the switch turns pointers into words and back.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-permissive-provenance"
export RUST_TEST_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

miri=(cargo +nightly miri)
where=(--quiet --target-dir "$CARGO_TARGET_DIR/ci/miri" --package)

# Prints the names of the tests of a program.
names() { # <flag for cargo>
    "${miri[@]}" test "${where[@]}" siding "$1" -- --list >"$work/list" 2>"$work/log" ||
        { cat "$work/log" && die "cannot list the tests"; }
    sed -n 's/: test$//p' "$work/list"
}

# Runs those of the tests on stdin that are not left out.
run() { # <flag for cargo>
    local list passed
    mapfile -t list < <(grep -vxF -f "$work/left_out")
    timeout 900 "${miri[@]}" test "${where[@]}" siding "$1" -- --exact "${list[@]}" >"$work/log" 2>&1 ||
        { tail -n 200 "$work/log" && die "Miri is not content"; }
    passed=$(passed_in "$work/log")
    ((passed == ${#list[@]})) || die "$1: of ${#list[@]} tests $passed passed"
    echo "Miri: $1: $passed tests passed"
}

names --lib >"$work/lib"
names --test=suite | named_in <(printf '%s\n' "${PARTS[@]}") >"$work/suite"
cat "$work/lib" "$work/suite" | named_in ci/miri.txt >"$work/left_out"
run --lib <"$work/lib"
# Jobs that are given up on purpose are threads that never end.
MIRIFLAGS+=" -Zmiri-ignore-leaks" run --test=suite <"$work/suite"

planted=("${miri[@]}" run "${where[@]}" siding-planted --)
"${planted[@]}" >"$work/log" 2>&1 || { cat "$work/log" && die "not content without a bug"; }
for bug in 'heap has been freed' 'unset uninitialized' 'leak memory leaked'; do
    status=0
    "${planted[@]}" "${bug%% *}" >"$work/log" 2>&1 || status=$?
    grep -q "${bug#* }" "$work/log" || status=0
    ((status != 0)) || { cat "$work/log" && die "the planted bug (${bug%% *}) is not found"; }
    echo "Miri: ${bug%% *} is found"
done
