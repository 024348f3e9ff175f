#!/usr/bin/env bash
# How many instructions does a round trip take? Exact, and fit to gate a change.
#
# usage: ci/count.sh [--check|--record] [target...]    default: every architecture in asm/
#   --check    fail if a case takes over one instruction more than its record
#   --record   rewrite benches/record/<target>/instructions.csv
#
# Each case of benches/count.rs runs for 2000 and for 12000 round trips; the difference is
# exact. Here callgrind counts, under qemu a plugin (ci/count/plugin.c).
# Exit status 1: more instructions than recorded; 2: could not count.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=ci/machines.sh
. ci/machines.sh

few=02000 many=12000 # of equal length: reading the argument takes the same time
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build: sets $program, the bench for $target.
build() {
    local linker
    linker=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")_LINKER
    env "$linker=$cc" cargo build --release --bench count --target "$target" \
        --message-format=json >"$work/messages" || fail "$target: does not build"
    program=$(sed -n 's/.*"name":"count".*"executable":"\([^"]*\)".*/\1/p' "$work/messages")
    [ -x "$program" ] || fail "$target: cargo names no program"
}

# executed CASE N: prints the instructions of one run.
executed() {
    local log=$work/log count
    if [ ${#emulator[@]} -eq 0 ]; then
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" >"$log" 2>&1 ||
            fail "$target: '$1' fails under callgrind: $(tail -1 "$log")"
        count=$(sed -n 's/.*Collected : \([0-9]*\)$/\1/p' "$log")
    else
        "${emulator[@]}" -plugin "$work/plugin.so" -d plugin "$program" "$1" "$2" >"$log" 2>&1 ||
            fail "$target: '$1' fails under ${emulator[0]}: $(tail -1 "$log")"
        count=$(sed -n 's/^instructions \([0-9]*\)$/\1/p' "$log")
    fi
    [ -n "$count" ] || fail "$target: no count for '$1'"
    echo "$count"
}

# count: fills $work/$target.csv.
count() {
    local name few_executed many_executed
    while read -r name; do
        few_executed=$(executed "$name" $few)
        many_executed=$(executed "$name" $many)
        awk -v name="$name" -v more=$((many_executed - few_executed)) \
            'BEGIN { printf "%s,%.4g\n", name, more / 10000 }' >>"$work/$target.csv"
    done < <("${emulator[@]}" "$program")
}

# check: compares with the record, in both directions.
check() {
    awk -F, -v target="$target" '
        FNR == 1 { file++ }
        /^case,/ { next }
        file == 1 { record[$1] = $2; next }
        !($1 in record) { print target ": " $1 " is not recorded"; bad = 1; next }
        $2 > record[$1] + 1 { print target ": " $1 " takes " $2 " instructions, recorded " record[$1]; bad = 1 }
        { delete record[$1] }
        END { for (name in record) { print target ": " name " was not counted"; bad = 1 }; exit bad }
    ' "$1" "$work/$target.csv"
}

table() {
    local target head="| instructions per round trip |" line="|---|"
    for target in "${targets[@]}"; do head+=" ${target%%-*} |" line+="---|"; done
    echo "$head"
    echo "$line"
    cut -d, -f1 "$work/${targets[0]}.csv" | tail -n +2 | while read -r name; do
        printf '| %s |' "$name"
        for target in "${targets[@]}"; do
            awk -F, -v name="$name" '$1 == name { printf " %s |", $2 }' "$work/$target.csv"
        done
        echo
    done
}

mode=print
case ${1-} in --check | --record) mode=${1#--} && shift ;; -*) fail "unknown option $1" ;; esac
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(all_targets)
need cargo rustup
bad=0
for target in "${targets[@]}"; do
    machine "$target"
    if [ ${#emulator[@]} -eq 0 ]; then
        need valgrind valgrind
    else
        need gcc gcc
        gcc -shared -fPIC -O2 -Wall -Wextra -Werror ci/count/plugin.c -o "$work/plugin.so"
    fi
    build
    echo case,instructions >"$work/$target.csv"
    count
    record=benches/record/$target/instructions.csv
    case $mode in
    record) mkdir -p "$(dirname "$record")" && cp "$work/$target.csv" "$record" ;;
    check)
        [ -e "$record" ] || fail "$record is missing: run ci/count.sh --record"
        check "$record" || bad=1
        ;;
    esac
done
table
exit $bad
