#!/usr/bin/env bash
# The installed C library as a C programmer meets it: headers, pkg-config, the examples
# linked in each way and under the tools, and the tools themselves.
#   ci/c_examples.sh [x86_64-unknown-linux-gnu | x86_64-unknown-linux-musl]
. "$(dirname "$0")/lib.sh"
target=${1:-$NATIVE}

work=$CARGO_TARGET_DIR/ci/c_examples/$target
prefix=$work/prefix
rm -rf "$work"
mkdir -p "$work"
ci/install-capi "$prefix" "$target"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export LD_LIBRARY_PATH=$prefix/lib

strict=(-O2 -g -gdwarf-4 -Wall -Wextra -Werror)
runs=0

# Prints the flags that a program is built with.
flags() { # shared | static
    case $1 in
        static) echo -static && pkg-config --static --cflags --libs siding ;;
        shared) pkg-config --cflags --libs siding ;;
    esac
}

build() { # <program> <source> shared|static <compiler and flags ...>
    local program=$1 source=$2 more
    read -ra more < <(flags "$3" | xargs)
    shift 3
    # That static programs need the same libc at run time is all the linker has to say.
    "$@" "${strict[@]}" -pthread "$source" "${more[@]}" ${crypto:+-lcrypto} -o "$program" >"$work/log" 2>&1 ||
        { cat "$work/log"; die "$source does not build: $*"; }
}

# Runs an example: it checks itself, and one has its output in a file.
run() { # <what> <example> <command ...>
    local what=$1 expected=examples/$2.txt
    shift 2
    timeout 60 "$@" >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err"; die "$what fails: $*"; }
    [[ ! -e $expected ]] || diff "$expected" "$work/out" || die "$what prints something else (>)"
    [[ -s $work/out ]] || die "$what prints nothing"
    runs=$((runs + 1))
}

# The tools must see a bug when there is one.
found() { # <message> <command ...>
    local message=$1 status=0
    shift
    "$@" >"$work/out" 2>&1 || status=$?
    grep -q "$message" "$work/out" || status=0
    ((status != 0)) || { cat "$work/out"; die "a planted bug is not found: $*"; }
}

memcheck=(valgrind -q --error-exitcode=99 --exit-on-first-error=yes)

on_gnu() {
    local source name cc
    for cc in gcc clang; do
        for source in examples/c/*.c; do
            name=$(basename "$source" .c)
            build "$work/$name-static" "$source" static "$cc"
            run "$name ($cc, static)" "$name" "$work/$name-static"
            build "$work/$name" "$source" shared "$cc"
            run "$name ($cc, shared)" "$name" "$work/$name"
            run "$name ($cc, memcheck)" "$name" "${memcheck[@]}" "$work/$name"
            build "$work/$name-asan" "$source" shared "$cc" -fsanitize=address,undefined
            run "$name ($cc, sanitizers)" "$name" "$work/$name-asan"
        done
        build "$work/planted" ci/c_examples/planted.c shared "$cc"
        found 'Invalid read' "${memcheck[@]}" "$work/planted" heap
        found 'uninitialised value' "${memcheck[@]}" "$work/planted" unset
        build "$work/planted" ci/c_examples/planted.c shared "$cc" -fsanitize=address
        found 'AddressSanitizer: heap-use-after-free' "$work/planted" heap
        found 'AddressSanitizer: stack-buffer-overflow' "$work/planted" stack
    done
    # libcrypto's own ASYNC_* come along with the rest of it: the first ones must count.
    crypto=yes build "$work/static_crypto" ci/c_examples/static_crypto.c static gcc -Wl,-z,muldefs
    run "a static libcrypto" static_crypto "$work/static_crypto"
    # The row a_cancelled_jobs_errors_stay_off_the_queue.
    crypto=yes build "$work/errors" ci/c_examples/errors.c shared gcc
    run "errors of a cancelled job" errors "$work/errors"
    # Debian builds its libraries like this.
    build "$work/overflow" ci/c_examples/overflow.c shared gcc -fno-stack-clash-protection
    run "an overflow without stack probes" overflow "$work/overflow"
    (($(grep -c 'siding: stack overflow in a job of the function 0x' "$work/err") == 3)) ||
        { cat "$work/err"; die "an overflow is not reported"; }
    # The row a_job_may_pause_in_a_catch_handler.
    build "$work/catch" ci/c_examples/catch.cpp shared g++
    run "a pause in a catch handler" catch "$work/catch"
    headers
}

# Each header alone, and before and after OpenSSL's, in C and in C++.
headers() {
    local header openssl='#include <openssl/async.h>' compiler include
    read -ra include < <(pkg-config --cflags siding)
    include+=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only)
    for header in '#include <siding/async.h>' '#include <siding.h>'; do
        # Repeating a typedef needs C11.
        for compiler in 'gcc -std=c99' 'clang -std=c99'; do
            $compiler "${include[@]}" -xc - <<<"$header" || die "$compiler: $header"
        done
        for compiler in 'gcc -std=c11 -xc' 'clang -std=c11 -xc' 'g++ -std=c++11 -xc++' \
            'clang++ -std=c++20 -xc++'; do
            $compiler "${include[@]}" - <<<"$header" || die "$compiler: $header"
            $compiler "${include[@]}" - <<<"$header
$openssl" || die "$compiler: $header before OpenSSL's"
            $compiler "${include[@]}" - <<<"$openssl
$header" || die "$compiler: $header after OpenSSL's"
        done
    done
}

# musl refuses to load by dlopen() what keeps its thread's words at a fixed place; ours
# does, for speed. Linked or preloaded it works, and the refusal is a clear one.
on_musl() {
    local source name
    for source in examples/c/*.c; do
        name=$(basename "$source" .c)
        for mode in shared static; do
            build "$work/$name" "$source" "$mode" musl-gcc
            run "$name (musl-gcc, $mode)" "$name" "$work/$name"
        done
    done
    musl-gcc "${strict[@]}" ci/c_examples/dlopen.c -o "$work/dlopen"
    "$work/dlopen" "$prefix/lib/libsiding.so" >"$work/out" && die "musl loads it after all: say so"
    grep -q 'initial-exec TLS' "$work/out" || die "musl does not say why: $(cat "$work/out")"
    LD_PRELOAD=$prefix/lib/libsiding.so "$work/dlopen" "$prefix/lib/libsiding.so" >/dev/null ||
        die "preloaded it cannot be opened"
}

case $target in
    *-gnu) on_gnu ;;
    *-musl) on_musl ;;
    *) die "C programs of $target cannot be run here" ;;
esac
echo "$target: $runs runs of C examples"
