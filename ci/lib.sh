# shellcheck shell=bash disable=SC2034
# Sourced by every script here: strict mode, the repository as working directory, and
# how each target is linked and run.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

NATIVE=x86_64-unknown-linux-gnu
CROSS=(
    x86_64-unknown-linux-musl
    aarch64-unknown-linux-gnu
    riscv64gc-unknown-linux-gnu
    aarch64-unknown-linux-musl
)

# Of these `ci/test` runs one variant, unless it is asked for one of them.
FURTHER=(
    i686-unknown-linux-gnu
    s390x-unknown-linux-gnu
    armv7-unknown-linux-gnueabihf
    powerpc64le-unknown-linux-gnu
)

# Without an operating system, for ci/bare_metal.sh.
BARE=(x86_64-unknown-none aarch64-unknown-none riscv64gc-unknown-none-elf)

# Runs under wine, what of the suite can: ci/windows.sh.
WINDOWS=x86_64-pc-windows-gnu

# What cannot be run here, and is only compiled: ci/other_systems.sh.
COMPILED=(
    x86_64-apple-darwin
    aarch64-apple-darwin
    x86_64-linux-android
    aarch64-linux-android
    x86_64-unknown-freebsd
)

# The same, and rustup has no std for these: it is built first.
COMPILED_WITH_STD=(
    aarch64-unknown-freebsd
    x86_64-unknown-openbsd
    aarch64-unknown-openbsd
)

# What Rust calls the architecture of a target.
arch_of() { # <target>
    case $1 in
        i?86-*) echo x86 ;;
        armv7-*) echo arm ;;
        powerpc64le-*) echo powerpc64 ;;
        riscv64gc-*) echo riscv64 ;;
        *) echo "${1%%-*}" ;;
    esac
}

# What programs print is read here, in English and with decimal points.
export LC_ALL=C.UTF-8

# How many processors we may use: a container may have fewer than it sees. Each is to have 2 GiB.
processors() {
    local count quota=max period=1 memory
    count=$(nproc)
    [[ ! -r /sys/fs/cgroup/cpu.max ]] || read -r quota period </sys/fs/cgroup/cpu.max
    [[ $quota == max ]] || ((count * period <= quota)) || count=$(((quota + period - 1) / period))
    memory=$(awk '$1 == "MemAvailable:" { print int($2 / 2097152) }' /proc/meminfo)
    ((count <= memory)) || count=$memory
    echo $((count > 0 ? count : 1))
}

export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

# Everything is built from nothing, many times over: half the work this way. Backtraces
# keep their names, not their lines.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1

# `-cpu max` for BTI and PAC; riscv64 has no such CPU in qemu 7.2 and needs none.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_LINKER=riscv64-linux-gnu-gcc
export CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_RUNNER="qemu-riscv64 -L /usr/riscv64-linux-gnu"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER="qemu-aarch64 -cpu max"
# Runs as it is: only the loader lies elsewhere than the program would say.
export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc
export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Clink-arg=-Wl,--dynamic-linker=/usr/i686-linux-gnu/lib/ld-linux.so.2,-rpath,/usr/i686-linux-gnu/lib"
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUNNER="qemu-arm -L /usr/arm-linux-gnueabihf"
export CARGO_TARGET_POWERPC64LE_UNKNOWN_LINUX_GNU_LINKER=powerpc64le-linux-gnu-gcc
export CARGO_TARGET_POWERPC64LE_UNKNOWN_LINUX_GNU_RUNNER="qemu-ppc64le -L /usr/powerpc64le-linux-gnu"
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER="qemu-s390x -L /usr/s390x-linux-gnu"
# qemu-user forks while another of its threads may hold a lock of glib's slice allocator, and
# the child waits for that for ever; malloc knows about forks.
export G_SLICE=always-malloc
# The name that `cc` would guess is not in Debian.
export CC_aarch64_unknown_linux_musl=aarch64-linux-gnu-gcc
# Nor are compilers for no system; all they do is assemble.
export CC_aarch64_unknown_none=aarch64-linux-gnu-gcc
export CC_riscv64gc_unknown_none_elf=riscv64-linux-gnu-gcc

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The package's version as the digits of the assembly symbols' prefix: 0_1.
version_digits() {
    sed -n 's/^version = "\([0-9]*\)\.\([0-9]*\)\..*/\1_\2/p' Cargo.toml | head -n 1
}
