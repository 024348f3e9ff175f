#!/usr/bin/env bash
# Runs the suite on one target in one variant, and checks that no test was left out.
#   ci/suite.sh <target> <variant>
# Every test that exists natively must run, less the lines of ci/exclusions.txt.
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh
target=${1:?target} variant=${2:?variant}

# How long the tests of one run may take before something must be hanging, in seconds; cargo may
# have to wait for another variant to be built.
LIMIT=900

cargo=(--package siding --tests --features capi --target "$target") flags=()
case $variant in
    debug* | ucontext) ;;
    *) cargo+=(--release) ;;
esac
case $variant in
    debug | release) ;;
    debug-outline | release-outline) flags=(--cfg siding_outline) ;;
    debug-mprotect) flags=(--cfg siding_mprotect_guards) ;;
    lto) export CARGO_PROFILE_RELEASE_LTO=fat ;;
    opt-1) flags=(-C opt-level=1) ;;
    opt-s) flags=(-C opt-level=s) ;;
    native-cpu) ;; # below
    frame-pointers) flags=(-C force-frame-pointers=yes) ;;
    ucontext) ;; # below
    *) die "unknown variant: $variant" ;;
esac

# Tests assert that they run on this, so a run on the wrong machine fails.
EXPECT_ARCH=$(arch_of "$target")
export EXPECT_ARCH
# Tests fork children that die: one thread, and no core files.
export RUST_TEST_THREADS=1
ulimit -c 0

work=$CARGO_TARGET_DIR/ci
log=$work/$target-$variant.log results=$work/$target-$variant.results
mkdir -p "$work"

# Prints "file name" of each test of a run.
names() { # <flags for cargo ...> [-- <flags for the tests>]
    local listing
    listing=$(cargo test "$@" --list 2>&1) || die "cannot list the tests: $listing"
    awk '/^ +Running / { file = $2 == "unittests" ? $3 : $2 }
         sub(/: test$/, "") { print file, $0 }' <<<"$listing" | sort
}

# The exclusions that apply here, as names.
mapfile -t excluded < <(awk -v target="$target" -v variant="$variant" '
    !/^#/ && ($1 == target || $1 == variant || $1 == "qemu" && target !~ /^(x86_64|i686)/) { print $2 }
' ci/exclusions.txt)
skips=(--exact)
for name in "${excluded[@]}"; do
    skips+=(--skip "$name")
done

# What has to run: natively listed, less the exclusions. Ignored tests are listed too.
expected=$(names --package siding --tests --features capi --target "$NATIVE" --)
for name in "${excluded[@]}"; do
    rest=$(awk -v name="$name" '$2 != name' <<<"$expected")
    [[ $rest != "$expected" ]] || die "ci/exclusions.txt names $name, which is no test"
    expected=$rest
done

# And the tests that this target has in addition.
expected=$({ echo "$expected"; awk -v target="+$target" '$1 == target { print $2, $3 }' \
    ci/exclusions.txt; } | sort)

# From here on it is this variant that is built.
((${#flags[@]} == 0)) || with_flags "$variant" "${flags[@]}"
# The build script must see these, too.
case $variant in
    native-cpu) export RUSTFLAGS="${RUSTFLAGS-} -C target-cpu=native" ;;
    ucontext) export RUSTFLAGS="${RUSTFLAGS-} --cfg siding_ucontext" CFLAGS="${CFLAGS-} -Wall -Werror" ;;
esac
listed=$(names "${cargo[@]}" -- "${skips[@]}")
diff <(echo "$expected") <(echo "$listed") >"$log" ||
    die "the tests of $target differ from the native ones (<) less ci/exclusions.txt:
$(grep '^[<>]' "$log")"

run() { # <flags for the tests ...>
    timeout --kill-after=10 "$LIMIT" cargo test "${cargo[@]}" --no-fail-fast -- "$@"
}

started=0
run_into "$target" "$log" "${skips[@]}" || started=$?
((started == 0)) || {
    cat "$log"
    ((started != 124)) || die "$target $variant: no end after $LIMIT s"
    die "$target $variant: cargo test failed"
}

# "test result: ok. 5 passed; 0 failed; 1 ignored; ..."
grep '^test result: ' "$log" >"$results" || die "cargo test printed no result"
passed=$(passed_in "$results")
ignored=$(awk '{ ignored += $8 } END { print ignored }' "$results")
grep -E '^( +Running |test result: )' "$log"
((ignored == 0)) || die "$target $variant: $ignored tests ignored that ci/exclusions.txt does not name"
count=$(wc -l <<<"$listed")
((passed == count)) || die "$target $variant: $count tests listed, $passed passed"
echo "$target $variant: $passed tests passed, ${#excluded[@]} excluded"
