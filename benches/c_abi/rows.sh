#!/usr/bin/env bash
# What jobs cost a C program: with libcrypto's, and the same program with siding preloaded,
# in ABBA order on one core. Prints rows as siding-compare does; ci/bench makes a table.
#   benches/c_abi/rows.sh [--quick]
. "$(dirname "$0")/../../ci/lib.sh"
rounds=20 times=3
[[ ${1-} != --quick ]] || { rounds=2 times=1; }

work=$CARGO_TARGET_DIR/ci/bench_c_abi
rm -rf "$work"
mkdir -p "$work"
ci/install-capi "$work/prefix" >"$work/log" || { cat "$work/log" >&2; die "siding does not build"; }
for program in bench tls; do
    gcc -O2 -Wall -Wextra -Werror -I"$work/prefix/include" "benches/c_abi/$program.c" \
        -o "$work/$program" -lssl -lcrypto
done
siding=$work/prefix/lib/libsiding.so.0

run() { # <name> [preload]
    local program
    for program in bench tls; do
        LD_PRELOAD=${2-} taskset -c "${CORE:-$(($(nproc) - 1))}" "$work/$program" \
            "$rounds" >>"$work/$1" 2>"$work/err" || { cat "$work/err" >&2; die "$program fails with $1"; }
    done
    # The loader only warns of a library that it cannot preload.
    [[ ! -s $work/err ]] || { cat "$work/err" >&2; die "warnings"; }
}

for ((i = 0; i < times; i++)); do
    run libcrypto
    run siding "$siding"
    run siding "$siding"
    run libcrypto
done

# Least and median of all batches of a case. siding_run has libcrypto's resume + pause to
# stand against.
while read -r name; do
    for who in siding libcrypto; do
        against=$name label=$who
        [[ $name == siding_run* && $who == libcrypto ]] &&
            against='resume + pause' label="libcrypto; resume + pause"
        awk -F '\t' -v name="$against" '$1 == name { print $2 }' "$work/$who" | sort -n |
            awk -v case="${name//,/;}" -v who="$label" '{ ns[NR] = $1 }
                END { printf "C program,%s,%s,%.2f,%.2f,,,,,\n", case, who, ns[1], ns[int((NR + 1) / 2)] }'
    done
done < <(awk -F '\t' '!seen[$1]++ { print $1 }' "$work/siding")
