#!/usr/bin/env bash
# Without std: builds for machines that have no operating system, and runs
# examples/bare_metal/ on two of them, which qemu emulates, and here.
. "$(dirname "$0")/lib.sh"

# How long a program of milliseconds may take before something must be hanging.
LIMIT=60

work=$CARGO_TARGET_DIR/ci
mkdir -p "$work"
example=examples/bare_metal

clippy() { # <target> <flags for cargo ...>
    cargo clippy --quiet --target "$@" -- -D warnings || die "clippy is not content: $*"
}
for target in "${BARE[@]}"; do
    clippy "$target" --package siding --lib --no-default-features
    cargo build --quiet --release --package siding --lib --no-default-features --target "$target" ||
        die "does not build for $target"
done

# Nothing may be left to the linker but the core library. That it does need.
check_names() { # <target> <nm>
    local left names=$work/bare_metal.names
    # It fails over the member that is Rust's metadata.
    "$2" --undefined-only "$CARGO_TARGET_DIR/$1/release/libsiding.rlib" >"$names" 2>"$names.err" || true
    grep '4core' "$names" >/dev/null || die "$1: $2 finds nothing: $(cat "$names.err")"
    left=$(awk '$1 == "U" && $2 !~ /4core|^siding_|^mem(cpy|set|move|cmp)$|^_GLOBAL_OFFSET_TABLE_$/ {
        print $2 }' "$names" | sort -u)
    [[ -z $left ]] || die "$1: it wants ${left//$'\n'/ }"
}
check_names x86_64-unknown-none nm
check_names aarch64-unknown-none aarch64-linux-gnu-nm
check_names riscv64gc-unknown-none-elf riscv64-linux-gnu-nm

# Runs a program of the example's; it must end with a status, and print what the file says.
run() { # <where> <status> <what it prints> <command ...>
    local status=0 where=$1 wanted=$2 prints=$3
    shift 3
    timeout --kill-after=5 "$LIMIT" "$@" >"$work/bare_metal" 2>"$work/bare_metal.err" || status=$?
    ((status == wanted)) ||
        die "$where: status $status, not $wanted: $(cat "$work/bare_metal" "$work/bare_metal.err")"
    diff "$prints" "$work/bare_metal" || die "$where does not print (>) what it should (<)"
}

build() { # <target> <flags for cargo ...>
    cargo build --quiet --package siding-bare-metal-example --target "$@" || die "$1: does not link"
}
emulated() { # <target> <profile> <emulator ...>
    local target=$1 directory=$CARGO_TARGET_DIR/$1/$2
    shift 2
    local emulator=("$@" -nodefaults -display none -serial stdio -kernel)
    run "$target" 0 "$example/bare_metal.txt" "${emulator[@]}" "$directory/bare_metal"
    run "$target" 1 "$example/panics.txt" "${emulator[@]}" "$directory/panics"
}
for target in aarch64-unknown-none riscv64gc-unknown-none-elf; do
    clippy "$target" --package siding-bare-metal-example
done
for profile in debug release; do
    flags=()
    [[ $profile == debug ]] || flags=(--release)
    build aarch64-unknown-none "${flags[@]}"
    emulated aarch64-unknown-none "$profile" qemu-system-aarch64 -M virt -cpu cortex-a72 -semihosting
    build riscv64gc-unknown-none-elf "${flags[@]}"
    emulated riscv64gc-unknown-none-elf "$profile" qemu-system-riscv64 -M virt -bios none
done

# The same library in a program that could unwind: no panic may reach the trampoline.
ulimit -c 0
build "$NATIVE"
run "$NATIVE" 0 "$example/bare_metal.txt" "$CARGO_TARGET_DIR/$NATIVE/debug/bare_metal"
run "$NATIVE" 134 /dev/null "$CARGO_TARGET_DIR/$NATIVE/debug/panics"
grep -q 'a panic would leave a coroutine' "$work/bare_metal.err" ||
    die "a panic leaves a coroutine otherwise: $(cat "$work/bare_metal.err")"
echo "${#BARE[@]} targets without std; examples/bare_metal runs on aarch64, riscv64 and here"
