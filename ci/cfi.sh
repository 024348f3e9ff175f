#!/usr/bin/env bash
# Is the unwind information of asm/<arch>.S right at every instruction, and would we notice?
#   ci/cfi.sh [target ...]              every architecture unless told
#   CFI_MUTANTS=10 ci/cfi.sh            about so many mutants an architecture, evenly spread
# Steps a small program through the stub and the trampoline in gdb (ci/cfi/step.py says
# what is compared), then again with one CFI line at a time removed or falsified
# (ci/cfi/mutants.py): each of these must be caught.
. "$(dirname "$0")/lib.sh"
. ci/machine.sh
(($#)) || set -- "${TARGETS[@]}"
wanted=${CFI_MUTANTS:-all}

# Several architectures side by side.
if (($# > 1)); then
    printf '%s\n' "$@" | xargs -P "$(processors)" -n 1 "$0"
    exit
fi

ROUNDS=6
WRONG=1 # exit status of step.py, as against "could not look"
LIMIT=300 # seconds for one run

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

assemble() { # <file.S>
    "$cc" -c "${asm_flags[@]}" -I asm "$1" -o "$work/stub.o"
}

# Links the driver with what was assembled. Static and at fixed addresses, so that gdb knows
# them beforehand; with frame pointers, because step.py changes the other registers.
link() {
    local strip=debuginfo
    # There what gdb reads is in .debug_frame.
    [[ $arch != arm ]] || strip=none
    rustc --edition 2024 -O --target "$target" --cfg siding_outline \
        -C linker="$cc" -C link-arg="$work/stub.o" -C strip="$strip" \
        -C force-frame-pointers=yes -C relocation-model=static -C target-feature=+crt-static \
        ci/cfi/driver.rs -o "$work/driver" || die "$target: the driver does not link"
}

# Single-steps the driver. Succeeds, fails with $WRONG, or ends the script.
step() { # <rounds> [first]
    local status=0 gdb=gdb
    local -x CFI_ARCH=$arch CFI_PROGRAM=$work/driver CFI_ROUNDS=$1 CFI_FIRST=${2-}
    local -x CFI_EMULATOR=${emulator[*]}
    ((${#emulator[@]} == 0)) || gdb="gdb-multiarch"
    timeout "$LIMIT" "$gdb" -nx -batch -x ci/cfi/step.py >"$work/log" 2>&1 || status=$?
    if ((status != 0 && status != WRONG)); then
        tail "$work/log" >&2
        die "$target: could not look${mutant:+ at the mutant $(basename "$mutant" .S)}"
    fi
    return "$status"
}

mutate() {
    local survived=() refused=0 every=1 all chosen=0
    rm -rf "$work/mutants"
    mkdir "$work/mutants"
    python3 ci/cfi/mutants.py "asm/$arch.S" "$work/mutants" || die "$arch: no mutants"
    all=("$work"/mutants/*.S)
    [[ $wanted == all ]] || every=$(((${#all[@]} + wanted - 1) / wanted))
    for ((i = 0; i < ${#all[@]}; i += every)); do
        mutant=${all[i]} chosen=$((chosen + 1))
        if ! assemble "$mutant" 2>/dev/null; then
            refused=$((refused + 1))
            continue
        fi
        link
        ! step 1 first || survived+=("$(basename "$mutant" .S)")
    done
    mutant=
    echo "$arch: $((chosen - ${#survived[@]})) of $chosen mutants caught, $refused of them" \
        "by the assembler; there are ${#all[@]}"
    ((4 * refused <= chosen)) || die "$arch: too few mutants were looked at"
    ((${#survived[@]} == 0)) || die "asm/$arch.S, line and mutation: not caught: ${survived[*]}"
}

need readelf binutils
need python3 python3
mutant=
for target in "$@"; do
    machine "$target"
    need gdb gdb
    ((${#emulator[@]} == 0)) || need gdb-multiarch gdb-multiarch
    # With SVE, which `max` has, gdb 13 does not unwind the vector registers.
    [[ $arch != aarch64 ]] || emulator+=(-cpu cortex-a57)
    rounds=$ROUNDS
    # Its stubs have three times the instructions, and twice the registers, of any other.
    [[ $arch != powerpc64 ]] || rounds=2
    assemble "asm/$arch.S" || die "asm/$arch.S does not assemble"
    link
    step "$rounds" || { cat "$work/log" && die "$arch: wrong unwind information"; }
    grep "^$arch: " "$work/log"
    mutate
done
