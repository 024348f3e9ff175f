#!/usr/bin/env bash
# Are the sanitizers content, and do they find a bug inside a job?
#   ci/sanitizers.sh [address | thread | c]      all three unless told
# The suite is built for AddressSanitizer (with LeakSanitizer), and the part of it that has
# threads for ThreadSanitizer, less the tests in ci/sanitizers/<name>.txt. C programs built
# for either use the plain library, which finds out by itself.
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh
(($#)) || set -- address thread c

# Tests fork children that die: one thread, and no core files.
export RUST_TEST_THREADS=1
ulimit -c 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What hits a guard on purpose dies as without a sanitizer, and what asks for too much
# memory gets none. Forked children may have threads.
options=handle_segv=0:allow_user_segv_handler=1:allocator_may_return_null=1
export ASAN_OPTIONS=$options TSAN_OPTIONS=$options:die_after_fork=0

# Runs cargo for a sanitizer.
for_sanitizer() { # address|thread <cargo's command> <its flags ...>
    local -x RUSTFLAGS=-Zsanitizer=$1
    local cargo=(cargo) command=$2 where=(--target "$NATIVE" --target-dir "$CARGO_TARGET_DIR/ci/sanitizer-$1")
    if [[ $1 == thread ]]; then
        # It has to see into std, too.
        cargo+=(+nightly) where+=(-Zbuild-std)
    else
        # The runtime comes with stable Rust; only the flag does not.
        local -x RUSTC_BOOTSTRAP=1
    fi
    shift 2
    "${limit[@]}" "${cargo[@]}" "$command" "${where[@]}" "$@"
}

# For what a command may not take longer.
limit=()

# Builds test files, and sets `skips` to what the list names of them.
choose() { # address|thread <flags for cargo ...>
    local names
    for_sanitizer "$1" test --package siding --features capi "${@:2}" -- --list >"$work/list" 2>"$work/log" ||
        { cut -c 1-300 "$work/log" && die "$1: cannot list the tests"; }
    names=$(sed -n 's/: test$//p' "$work/list" | named_in "ci/sanitizers/$1.txt") || die "whom does the list mean?"
    mapfile -t names <<<"$names"
    skips=(--exact "${names[@]/#/--skip=}")
}

# Runs test files without those.
suite() { # address|thread <flags for cargo ...>
    local sanitizer=$1 limit=(timeout 900)
    shift
    for_sanitizer "$sanitizer" test --package siding --features capi --no-fail-fast "$@" -- "${skips[@]}" \
        >"$work/log" 2>&1 || { cut -c 1-300 "$work/log" && die "$sanitizer: not content"; }
    awk -v sanitizer="$sanitizer" '
        /^test result: / { passed += $4; out += $12; files++ }
        END { print sanitizer ": " passed " tests in " files " files passed, " out " left out"
              exit !passed }' "$work/log"
}

# The bug must be found, and without one nothing.
planted() { # <what> <bug> <what is said> <command ...>
    local what=$1 bug=$2 message=$3 status=0
    shift 3
    "$@" >"$work/log" 2>&1 || status=$?
    ! grep -q WARNING "$work/log" || status=1
    ((status == 0)) || { cat "$work/log" && die "$what: not content without a bug"; }
    "$@" "$bug" >"$work/log" 2>&1 || status=$?
    grep -q "$message" "$work/log" || status=0
    ((status != 0)) || { cat "$work/log" && die "$what: the planted bug ($bug) is not found"; }
    echo "$what: $bug is found"
}

planted_in_rust() { # address|thread <bug> <what is said>
    for_sanitizer "$1" build --quiet --package siding-planted
    planted "$1, Rust" "$2" "$3" "$CARGO_TARGET_DIR/ci/sanitizer-$1/$NATIVE/debug/planted"
}

address() {
    choose address --lib --test='*'
    suite address --lib --test=suite --test=children --test=machine
    # The tests of the C ABI are for other libraries, too, and do not clean up.
    ASAN_OPTIONS+=:detect_leaks=0 suite address --test='c_*'
    planted_in_rust address heap 'heap-use-after-free'
    planted_in_rust address leak 'detected memory leaks'
}

thread() {
    local files=(--lib --test=suite --test=children --test='c_*')
    choose thread "${files[@]}"
    suite thread "${files[@]}"
    planted_in_rust thread race 'data race'
}

c() {
    local cc
    ci/install-capi "$work/prefix"
    local -x PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib
    for cc in gcc clang; do
        host "$cc" address
        planted "address, $cc" heap 'heap-use-after-free' "$work/host"
        planted "address, $cc" stack 'stack-buffer-overflow' "$work/host"
        planted "address, $cc" leak 'detected memory leaks' "$work/host"
        host "$cc" thread
        planted "thread, $cc" race 'data race' "$work/host"
    done
}

host() { # <compiler> address|thread
    local flags
    read -ra flags < <(pkg-config --cflags --libs siding)
    "$1" -O1 -g -Wall -Wextra -Werror -pthread -fsanitize="$2" ci/sanitizers/host.c \
        "${flags[@]}" -o "$work/host" || die "$1: ci/sanitizers/host.c does not build"
}

for part in "$@"; do
    case $part in
        address | thread | c) "$part" ;;
        *) die "usage: ci/sanitizers.sh [address | thread | c]" ;;
    esac
done
