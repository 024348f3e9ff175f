#!/usr/bin/env bash
# How many instructions does a round trip take? Exact, and fit to gate a change.
#   ci/count.sh [--check|--record] [target ...]      every architecture unless told
# Prints a table. --check fails if a case takes over one instruction more than its record
# in benches/record/<target>/instructions.csv; --record rewrites that.
# Each case of benches/count.rs runs for 2000 and for 12000 round trips: the difference is
# exact. Here callgrind counts, under qemu a plugin (ci/count/plugin.c).
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh
. ci/machine.sh

mode=print
case ${1-} in
    --check | --record) mode=${1#--} && shift ;;
    -*) die "usage: ci/count.sh [--check|--record] [target ...]" ;;
esac
(($#)) || set -- "${TARGETS[@]}"

few=02000 many=12000 # of equal length: reading the argument takes the same time
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Sets program, the bench for the target.
build() { # [flag for siding ...]
    local -x RUSTC_WORKSPACE_WRAPPER=
    (($# == 0)) || with_flags count "$@"
    cargo build --release --bench count --target "$target" --message-format=json \
        >"$work/messages" || die "$target: does not build"
    program=$(sed -n 's/.*"name":"count".*"executable":"\([^"]*\)".*/\1/p' "$work/messages")
    [[ -x $program ]] || die "$target: cargo names no program"
}

# Prints the instructions of one run.
executed() { # <case> <round trips>
    local log=$work/log counter count
    if ((${#emulator[@]})); then
        counter=("${emulator[@]}" -plugin "$work/plugin.so" -d plugin)
    else
        counter=(valgrind --tool=callgrind --callgrind-out-file=/dev/null)
    fi
    "${counter[@]}" "$program" "$1" "$2" >"$log" 2>&1 ||
        die "$target: '$1' fails under ${counter[0]}: $(tail -n 1 "$log")"
    count=$(sed -En 's/^(==[0-9]+== Collected :|instructions) ([0-9]+)$/\2/p' "$log")
    [[ -n $count ]] || die "$target: ${counter[0]} gives no count for '$1'"
    echo "$count"
}

# Counts these cases.
count() { # <case ...>
    local name least most
    for name in "$@"; do
        least=$(executed "$name" "$few")
        most=$(executed "$name" "$many")
        awk -v name="$name" -v more="$((most - least))" \
            'BEGIN { printf "%s,%.6g\n", name, more / 10000 }'
    done
}

# What the test for sanitizers adds to a round trip, at most: the record has it as a case.
hooks() {
    local limit=6 cases=("Coroutine depth 0" "Coroutine depth 4" "job pause and resume" "yield of 100 jobs")
    # With so few registers the test's address has to be reloaded.
    [[ $arch != x86 ]] || limit=7
    # An address takes two instructions here.
    [[ $arch != powerpc64 ]] || limit=7
    build --cfg siding_no_hooks
    count "${cases[@]}" | awk -F, -v limit="$limit" '
        NR == FNR { without[$1] = $2; next }
        $1 in without && $2 - without[$1] > most { most = $2 - without[$1] }
        END { printf "sanitizer hooks add,%.6g\n", most; exit most > limit }
    ' - "$work/$target.csv" || die "$target: the hooks add more than $limit instructions"
}

# Compares with the record, in both directions.
check() { # <record>
    [[ -e $1 ]] || die "$1 is missing: run ci/count.sh --record"
    awk -F, -v target="$target" '
        function complain(text) { print target ": " text; bad = 1 }
        FNR == 1 { file++; next }
        file == 1 { record[$1] = $2; next }
        !($1 in record) { complain($1 " is not recorded"); next }
        $2 > record[$1] + 1 { complain($1 " takes " $2 " instructions, recorded " record[$1]) }
        { delete record[$1] }
        END { for (name in record) complain(name " was not counted"); exit bad }
    ' "$1" "$work/$target.csv"
}

# A row for each case, a column for each target.
table() { # <target ...>
    awk -F, '
        FNR == 1 { n = split(FILENAME, path, "/"); sub(/-.*/, "", path[n])
                   head = head " " path[n] " |"; line = line "---|"; next }
        !($1 in row) { order[++cases] = $1 }
        { row[$1] = row[$1] " " $2 " |" }
        END { print "| instructions per round trip |" head; print "|---|" line
              for (i = 1; i <= cases; i++) print "| " order[i] " |" row[order[i]] }
    ' "${@/%/.csv}"
}

bad=0
for target in "$@"; do
    machine "$target"
    # Under valgrind rustix, which the poller uses, faults where it looks for the vDSO.
    [[ $arch != x86 ]] || emulator=(qemu-i386)
    if ((${#emulator[@]})); then
        need gcc gcc
        gcc -shared -fPIC -O2 -Wall -Wextra -Werror ci/count/plugin.c -o "$work/plugin.so"
    else
        need valgrind valgrind
    fi
    build
    names=$("${emulator[@]}" "$program")
    mapfile -t cases <<<"$names"
    { echo case,instructions && count "${cases[@]}"; } >"$work/$target.csv"
    added=$(hooks)
    echo "$added" >>"$work/$target.csv"
    record=benches/record/$target/instructions.csv
    case $mode in
        check) check "$record" || bad=1 ;;
        record) mkdir -p "${record%/*}" && cp "$work/$target.csv" "$record" ;;
    esac
done
table "${@/#/$work/}"
exit "$bad"
