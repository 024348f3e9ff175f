#!/usr/bin/env bash
# Is Miri content, and does it find a bug in a job?
#   ci/miri.sh
# It interprets Rust alone, and checks what no tool at run time can: aliasing, the validity of
# every value, provenance. A context is a thread there (src/arch/miri.rs). The unit tests run,
# and a part of the suite, for it is slow; less the tests in ci/miri.txt.
. "$(dirname "$0")/lib.sh"

PARTS=(coroutine:: drops:: job::block:: job::cancel:: job::nesting::)
# Time and files are the machine's; the switch turns pointers into words and back.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-permissive-provenance"
export RUST_TEST_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

miri=(cargo +nightly miri)
where=(--quiet --target-dir "$CARGO_TARGET_DIR/ci/miri" --package)

skips=()
while read -r test; do
    skips+=(--skip "$test")
done < <(sed -E '/^#/d; s/ .*//' ci/miri.txt)

run() { # <flags for cargo ...> -- <what to run ...>
    timeout 900 "${miri[@]}" test "${where[@]}" siding "$@" "${skips[@]}" >>"$work/log" 2>&1 ||
        { tail -n 200 "$work/log" && die "Miri is not content"; }
}
run --lib --
# Jobs that are given up on purpose are threads that never end.
MIRIFLAGS+=" -Zmiri-ignore-leaks" run --test=suite -- "${PARTS[@]}"
awk '/^test result: / { passed += $4; files++ }
     END { print "Miri: " passed " tests in " files " files passed"; exit !passed }' "$work/log"

planted=("${miri[@]}" run "${where[@]}" siding-planted --)
"${planted[@]}" >"$work/log" 2>&1 || { cat "$work/log" && die "not content without a bug"; }
for bug in 'heap has been freed' 'unset uninitialized' 'leak memory leaked'; do
    status=0
    "${planted[@]}" "${bug%% *}" >"$work/log" 2>&1 || status=$?
    grep -q "${bug#* }" "$work/log" || status=0
    ((status != 0)) || { cat "$work/log" && die "the planted bug (${bug%% *}) is not found"; }
    echo "Miri: ${bug%% *} is found"
done
