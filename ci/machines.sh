# shellcheck shell=bash disable=SC2034
# Sourced by the proof tools: what each target needs. A new architecture is one more case.

# Sets: arch, cc, asm_flags (those of build.rs), emulator (empty: runs here), gdb.
machine() {
    asm_flags=() emulator=() gdb=gdb-multiarch
    case $1 in
    x86_64-unknown-linux-gnu)
        arch=x86_64 cc=gcc gdb=gdb
        asm_flags=(-fcf-protection=branch)
        need gcc gcc
        ;;
    aarch64-unknown-linux-gnu)
        arch=aarch64 cc=aarch64-linux-gnu-gcc
        # Not `-cpu max`: with SVE, gdb cannot unwind the vector registers.
        emulator=(qemu-aarch64 -cpu cortex-a57 -L /usr/aarch64-linux-gnu)
        need "$cc" gcc-aarch64-linux-gnu
        need qemu-aarch64 qemu-user
        need /usr/aarch64-linux-gnu/lib/libc.a libc6-dev-arm64-cross
        ;;
    riscv64gc-unknown-linux-gnu)
        arch=riscv64 cc=riscv64-linux-gnu-gcc
        emulator=(qemu-riscv64 -L /usr/riscv64-linux-gnu)
        need "$cc" gcc-riscv64-linux-gnu
        need qemu-riscv64 qemu-user
        need /usr/riscv64-linux-gnu/lib/libc.a libc6-dev-riscv64-cross
        ;;
    *) fail "no machine for target $1" ;;
    esac
    need "$(rustc --print sysroot)/lib/rustlib/$1/lib" "rust-std: rustup target add $1"
}

# The targets of every architecture in asm/.
all_targets() {
    local file name
    for file in asm/*.S; do
        name=$(basename "$file" .S)
        echo "${name/riscv64/riscv64gc}-unknown-linux-gnu"
    done
}

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# need COMMAND-OR-FILE PACKAGE
need() {
    [ -e "$1" ] || command -v "$1" >/dev/null || fail "$1 is missing (package $2)"
}
