#!/usr/bin/env bash
# Is the unwind information of asm/<arch>.S right at every instruction, and would we notice?
#
# usage: ci/cfi.sh [target...]          default: every architecture in asm/
#        CFI_MUTANTS=all ci/cfi.sh      a number: about so many an architecture, evenly spread
#
# Steps a small program through the stub and the trampoline in gdb (ci/cfi/step.py says what
# is compared), then does it again with one CFI line at a time removed or falsified: each
# of these must be caught. Exit status 1: something is wrong; 2: could not look.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=ci/machines.sh
. ci/machines.sh

rounds=6
work=$(mktemp -d)
emulated=
trap '[ -z "$emulated" ] || kill "$emulated" 2>/dev/null || true; rm -rf "$work"' EXIT

# assemble FILE.S: to $work/stub.o
assemble() {
    "$cc" -c "${asm_flags[@]}" -I asm "$1" -o "$work/stub.o"
}

# Links the driver with stub.o. Static at fixed addresses, so that gdb knows them before the
# program runs; with frame pointers, because step.py changes the other registers.
link() {
    rustc --edition 2024 -O --target "$target" --cfg siding_outline \
        -C linker="$cc" -C link-arg="$work/stub.o" -C strip=debuginfo \
        -C force-frame-pointers=yes -C relocation-model=static -C target-feature=+crt-static \
        ci/cfi/driver.rs -o "$work/driver"
}

# step ROUNDS [first]: status 0 all right, 1 bad unwinding, 2 could not look.
step() {
    local status=0
    local -x CFI_ARCH=$arch CFI_PROGRAM=$work/driver CFI_ROUNDS=$1 CFI_FIRST=${2-} CFI_REMOTE=
    if [ ${#emulator[@]} -gt 0 ]; then
        CFI_REMOTE=$work/socket
        rm -f "$CFI_REMOTE"
        timeout 300 "${emulator[@]}" -g "$CFI_REMOTE" "$work/driver" "$1" >"$work/emulator.log" 2>&1 &
        emulated=$!
        for _ in {1..100}; do
            [ -e "$CFI_REMOTE" ] && break
            sleep 0.05
        done
    fi
    timeout 300 "$gdb" -nx -batch -x ci/cfi/step.py >"$work/log" 2>&1 || status=$?
    if [ -n "$emulated" ]; then
        kill "$emulated" 2>/dev/null || true
        wait "$emulated" 2>/dev/null || true
        emulated=
    fi
    return "$status"
}

# Prints the mutants to run, one a line: all, or every so-manieth.
selected() {
    local all=("$work"/mutants/*.S) every=1
    [ "$wanted" = all ] || every=$(((${#all[@]} + wanted - 1) / wanted))
    for ((i = 0; i < ${#all[@]}; i += every)); do echo "${all[i]}"; done
}

mutate() {
    local caught=0 refused=0 survived=0 status mutant
    rm -rf "$work/mutants"
    mkdir "$work/mutants"
    python3 ci/cfi/mutants.py "asm/$arch.S" "$work/mutants"
    while read -r mutant; do
        if ! assemble "$mutant" 2>/dev/null; then
            refused=$((refused + 1))
            continue
        fi
        link
        status=0
        step 1 first || status=$?
        case $status in
        0)
            survived=$((survived + 1))
            echo "asm/$arch.S:$(basename "$mutant" .S): not caught" >&2
            ;;
        1) caught=$((caught + 1)) ;;
        *)
            tail "$work"/*log >&2
            fail "$arch: could not look at mutant $(basename "$mutant" .S)"
            ;;
        esac
    done < <(selected)
    echo "$arch: $((caught + refused)) of $((caught + refused + survived)) mutants caught" \
        "($refused of them by the assembler), of $(find "$work/mutants" -name '*.S' | wc -l) there are"
    [ $caught -gt 0 ] && [ $survived -eq 0 ]
}

need rustc rustup
need readelf binutils
need python3 python3
wanted=${CFI_MUTANTS:-all}
bad=0
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(all_targets)
for target in "${targets[@]}"; do
    machine "$target"
    need "$gdb" "$gdb"
    assemble "asm/$arch.S"
    link
    status=0
    step $rounds || status=$?
    grep -v '^\[Inferior' "$work/log" || true
    [ $status -lt 2 ] || { tail "$work"/*log >&2; fail "$arch: could not look"; }
    [ $status -eq 0 ] || { bad=1; continue; }
    mutate || bad=1
done
exit $bad
