#!/usr/bin/env bash
# Windows, under wine: the unit tests, the suite, the switch itself, overflows and the C ABI,
# debug and by the stub. Every test that exists natively must run, less the lines of
# ci/windows/exclusions.txt. Then C programs, linked to the installed library in both ways.
#   ci/windows.sh
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh
target=$WINDOWS

# How long the tests of one run may take before something must be hanging.
LIMIT=300

work=$CARGO_TARGET_DIR/ci/wine
mkdir -p "$work"
x86_64-w64-mingw32-gcc -Wall -Werror -shared ci/windows/bcryptprimitives.c \
    -o "$work/bcryptprimitives.dll" -ladvapi32 || die "the shim for wine does not build"
export WINEPATH=$work WINEPREFIX=$work/prefix WINEDEBUG=-all
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
export EXPECT_ARCH=x86_64 RUST_TEST_THREADS=1

# Its server outlives the tests, and would keep the pipe of whoever called this open.
end_wine() {
    wineserver --kill || true
}
trap end_wine EXIT
wineboot --init >"$work/boot.log" 2>&1 || die "wine does not start: $(cat "$work/boot.log")"

programs=(--package siding --features capi --lib --test suite --test machine --test children)
programs+=(--test c_abi --test c_abi_memory --test c_extensions)

# Prints the name of each test, after that of its program.
names() { # <target> [flags for the tests ...]
    local listing on=$1
    shift
    listing=$(cargo test "${programs[@]}" --target "$on" -- "$@" --list 2>&1) ||
        die "$on: cannot list the tests: $listing"
    awk '/^ +Running / { program = $2 == "unittests" ? $3 : $2; gsub(/.*\/|\.rs$/, "", program) }
         sub(/: test\r*$/, "") { print program "::" $0 }' <<<"$listing" | sort
}

# What has to run: natively listed, less the exclusions, and what exists there alone.
expected=$(names "$NATIVE")
skips=(--exact)
excluded=0
while read -r name _; do
    if [[ $name == +* ]]; then
        expected=$(sort <<<"$expected"$'\n'"${name#+}")
        continue
    fi
    pattern=${name#-}
    gone=$(awk -v name="${pattern%\*}" -v all="$pattern" \
        '$0 == all || all != name && index($0, name) == 1' <<<"$expected")
    [[ -n $gone ]] || die "ci/windows/exclusions.txt names $pattern, which is no test"
    expected=$(grep -vxFf <(echo "$gone") <<<"$expected")
    excluded=$((excluded + $(wc -l <<<"$gone")))
    [[ $name == -* ]] || skips+=(--skip "${name#*::}")
done < <(grep -v '^#' ci/windows/exclusions.txt)

# Prints the programs that ended well, but before their last test, with the last line of each.
# A process that wine's server gives up ends so: seen once in some fifty runs of the suite, on a
# machine with much else to do.
vanished_in() { # <log>
    awk '/^ +Running / { if (program) print program " after " last; program = $3 ~ /^src/ ? $3 : $2 }
         /^test result: / { program = "" }
         /^test / { last = $0 }
         END { if (program) print program " after " last }' "$1"
}

run() { # <variant>
    local listed log=$work/$1.log passed count attempt vanished
    listed=$(names "$target" "${skips[@]}")
    diff <(echo "$expected") <(echo "$listed") >"$log" ||
        die "the tests differ from the native ones (<) less ci/windows/exclusions.txt:
$(grep '^[<>]' "$log")"
    for attempt in first last; do
        timeout --kill-after=10 "$LIMIT" cargo test "${programs[@]}" --target "$target" \
            -- "${skips[@]}" >"$log" 2>&1 || { cat "$log"; die "$1: cargo test failed"; }
        vanished=$(vanished_in "$log")
        [[ -n $vanished ]] || break
        echo "$target $1: $attempt run, gone with status 0: $vanished"
    done
    passed=$(passed_in "$log")
    count=$(wc -l <<<"$listed")
    ((passed == count)) || die "$1: $count tests listed, $passed passed"
    echo "$target $1: $passed tests passed, $excluded excluded"
}

# The headers alone, after <windows.h> and with OpenSSL's; they declare what there is.
headers() {
    local windows header openssl='#include <openssl/async.h>' lines
    local cc=(x86_64-w64-mingw32-gcc -I"$prefix/include" -Wall -Wextra -Wpedantic -Werror -fsyntax-only)
    for windows in '' '#include <windows.h>'; do
        for header in '#include <siding/async.h>' '#include <siding.h>'; do
            "${cc[@]}" -std=c99 -xc - <<<"$windows"$'\n'"$header" || die "$windows $header"
            for lines in "$openssl"$'\n'"$header" "$header"$'\n'"$openssl"; do
                "${cc[@]}" -std=c11 -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu \
                    -xc - <<<"$windows"$'\n'"$lines" || die "$windows $lines"
            done
        done
    done
    x86_64-w64-mingw32-gcc -Iinclude -include windows.h -include include/siding.h -x c -fsyntax-only \
        -aux-info "$work/prototypes" /dev/null
    sed -nE 's@^/\* (\./)?include/[^*]*\*/ [^(]*[ *](\w+) \(.*@\2@p' "$work/prototypes" | sort >"$work/declared"
    x86_64-w64-mingw32-nm --defined-only "$prefix/lib/libsiding.dll.a" |
        awk '$2 == "T" { print $3 }' | sort >"$work/exported"
    diff "$work/declared" "$work/exported" || die "declared (<) and exported (>) differ"
}

# Runs a C program, whose output is known.
c_program() { # <program> <source> <expected output> <flags ...>
    local program=$work/$1.exe source=$2 expected=$3 status=0
    shift 3
    x86_64-w64-mingw32-gcc -std=c11 -O2 -Wall -Wextra -Werror "$source" "$@" -o "$program" ||
        die "$source does not build: $*"
    timeout 60 wine "$program" | tr -d '\r' >"$work/out" || status=$?
    diff "$expected" "$work/out" || die "$source prints something else (>), and ends with $status: $*"
    ((status == 0)) || die "$source ends with $status: $*"
}

c_programs() {
    local prefix=$work/c how flags status=0
    ci/install-capi "$prefix" "$target" >"$work/log" || { cat "$work/log"; die "no C library"; }
    headers
    x86_64-w64-mingw32-gcc -std=c11 -Wall -Wextra -Werror -shared ci/windows/crypto.c \
        -o "$work/libcrypto-3-x64.dll"
    cp "$prefix"/bin/*.dll "$work"
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
    for how in static shared; do
        case $how in
            static) read -ra flags < <(pkg-config --static --cflags --libs siding) && flags+=(-static) ;;
            shared) read -ra flags < <(pkg-config --cflags --libs siding) ;;
        esac
        c_program "man_page-$how" examples/c/windows/man_page.c examples/man_page.txt "${flags[@]}"
        c_program "checks-$how" ci/windows/checks.c ci/windows/checks.txt "${flags[@]}"
    done
    # An exception that nobody in the job handles ends the process, with its number.
    timeout 60 wine "$work/checks-shared.exe" raise || status=$?
    ((status == 0x42)) || die "after an exception in a job the process ends with $status"
    echo "$target: $(wc -l <"$work/declared") functions declared and exported, 4 runs of C programs"
}

run debug
cargo check --quiet --package siding --tests --target "$target" || die "does not compile without the C ABI"
c_programs
with_flags debug-outline --cfg siding_outline
run debug-outline
