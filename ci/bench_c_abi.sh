#!/usr/bin/env bash
# What jobs cost a C program: with libcrypto's, and the same program with siding preloaded,
# in ABBA order on one core. Prints nanoseconds and their ratio; asserts none of them.
#   ci/bench_c_abi.sh [--smoke]       --smoke: only that it runs
. "$(dirname "$0")/lib.sh"
rounds=30 times=4
[[ ${1-} != --smoke ]] || { rounds=1 times=1; }

work=$CARGO_TARGET_DIR/ci/bench_c_abi
rm -rf "$work"
mkdir -p "$work"
ci/install-capi "$work/prefix" >"$work/log" || { cat "$work/log"; die "siding does not build"; }
for program in bench tls; do
    gcc -O2 -Wall -Wextra -Werror -I"$work/prefix/include" "benches/c_abi/$program.c" \
        -o "$work/$program" -lssl -lcrypto
done
siding=$work/prefix/lib/libsiding.so.0

run() { # <name> [preload]
    local program
    for program in bench tls; do
        LD_PRELOAD=${2-} taskset -c "${CORE:-$(($(nproc) - 1))}" "$work/$program" \
            "$rounds" >>"$work/$1" 2>"$work/err" || { cat "$work/err"; die "$program fails with $1"; }
    done
    # The loader only warns of a library that it cannot preload.
    [[ ! -s $work/err ]] || { cat "$work/err"; die "warnings"; }
}

for ((i = 0; i < times; i++)); do
    run libcrypto
    run siding "$siding"
    run siding "$siding"
    run libcrypto
done

# Each case: least and median of all batches. siding_run has libcrypto's resume + pause to
# stand against.
printf '%-34s %17s %17s %15s\n' 'ns, min / median' libcrypto siding ratio
while read -r name; do
    for who in libcrypto siding; do
        [[ $name == siding_run* && $who == libcrypto ]] && against='resume + pause' || against=$name
        awk -F '\t' -v name="$against" '$1 == name { print $2 }' "$work/$who" | sort -n |
            awk '{ ns[NR] = $1 } END { print ns[1], ns[int((NR + 1) / 2)] }'
    done | xargs | awk -v name="$name" '{
        printf "%-34s %8.1f %8.1f %8.1f %8.1f %7.2f %7.2f\n", name, $1, $2, $3, $4, $3 / $1, $4 / $2 }'
done < <(awk -F '\t' '!seen[$1]++ { print $1 }' "$work/siding")
