#!/usr/bin/env bash
# Installs what the given targets need; with `tools` also what checks the artefacts, with
# `bench` what siding is compared with, with `systems` what compiles for other systems.
#   ci/setup.sh [tools] [bench] [systems] [target ...]
# As root it installs; otherwise it says what to install and fails.
. "$(dirname "$0")/lib.sh"

[[ $(uname -sm) == "Linux x86_64" ]] || die "runs on x86_64 Linux; this is $(uname -sm)"

# The library needs less, but on powerpc64le, and nobody tests with less.
OLDEST_RUST=1.95

# What must be there (a command, or a file by its path), and Debian's package for it.
needs() {
    case $1 in
        base)
            echo gcc gcc /usr/include/stdio.h libc6-dev readelf binutils shellcheck shellcheck git git
            # For examples/tokio_openssl.
            echo pkg-config pkg-config /usr/include/openssl/async.h libssl-dev ;;
        x86_64-unknown-linux-gnu) ;;
        x86_64-unknown-linux-musl) echo musl-gcc musl-tools ;;
        aarch64-unknown-linux-*)
            echo aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
            echo /usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross
            echo qemu-aarch64 qemu-user ;;
        riscv64gc-unknown-linux-gnu)
            echo riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu
            echo /usr/riscv64-linux-gnu/include/stdio.h libc6-dev-riscv64-cross
            echo qemu-riscv64 qemu-user ;;
        i686-unknown-linux-gnu)
            echo i686-linux-gnu-gcc gcc-i686-linux-gnu
            echo /usr/i686-linux-gnu/include/stdio.h libc6-dev-i386-cross
            echo qemu-i386 qemu-user ;;
        armv7-unknown-linux-gnueabihf)
            echo arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf
            echo /usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross
            echo qemu-arm qemu-user ;;
        powerpc64le-unknown-linux-gnu)
            echo powerpc64le-linux-gnu-gcc gcc-powerpc64le-linux-gnu
            echo /usr/powerpc64le-linux-gnu/include/stdio.h libc6-dev-ppc64el-cross
            echo qemu-ppc64le qemu-user ;;
        s390x-unknown-linux-gnu)
            echo s390x-linux-gnu-gcc gcc-s390x-linux-gnu
            echo /usr/s390x-linux-gnu/include/stdio.h libc6-dev-s390x-cross
            echo qemu-s390x qemu-user ;;
        x86_64-unknown-none) ;;
        aarch64-unknown-none)
            echo aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu qemu-system-aarch64 qemu-system-arm ;;
        riscv64gc-unknown-none-elf)
            echo riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu qemu-system-riscv64 qemu-system-misc ;;
        x86_64-pc-windows-gnu)
            echo x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64 wine wine /usr/lib/wine/wine64 wine64 ;;
        # See ci/other_systems.sh.
        systems) echo clang-19 clang-19 llvm-ar-19 llvm-19 ;;
        tools)
            echo perf linux-perf gdb gdb gdb-multiarch gdb-multiarch valgrind valgrind python3 python3
            echo clang clang g++ g++ make make openssl openssl
            # A package without files of its own: the runtime of clang's sanitizers.
            echo /usr/share/doc/libclang-rt-dev libclang-rt-dev
            ;;
        # Peers of ci/bench, which names those that are not there.
        bench) echo g++ g++ /usr/include/boost/context/fiber.hpp libboost-context-dev ;;
        *) die "unknown target: $1" ;;
    esac
}

have() {
    case $1 in
        /*) [[ -e $1 ]] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# Prints the packages of what is missing.
missing() {
    local thing package list
    for item in "$@"; do
        # An assignment, so that an unknown target ends the script.
        list=$(needs "$item")
        while read -r thing package; do
            have "$thing" || echo "$package"
        done < <(xargs -n 2 <<<"$list" | sed '/^$/d')
    done | sort -u
}

command -v rustup >/dev/null || die "rustup is missing: see https://rustup.rs"
version=$(rustc --version)
[[ $(printf 'rustc %s\n' "$OLDEST_RUST" "${version#* }" | sort -V | head -n 1) == "rustc $OLDEST_RUST" ]] ||
    die "the tests need Rust $OLDEST_RUST, this is $version: rustup update"

packages=$(missing base "$@")
if [[ -n $packages ]]; then
    mapfile -t list <<<"$packages"
    ((EUID == 0)) || die "missing; install by: apt-get install ${list[*]}"
    echo "installing ${list[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update || die "apt-get update failed; wanted: ${list[*]}"
    apt-get -qq install -y --no-install-recommends "${list[@]}" >/dev/null ||
        die "apt-get could not install ${list[*]}"
    packages=$(missing base "$@")
    [[ -z $packages ]] || die "installed, but what they provide is not there: ${packages//$'\n'/ }"
fi

for component in rustfmt clippy; do
    rustup component list --installed | grep "^$component" >/dev/null ||
        rustup component add "$component" || die "rustup has no component $component"
done
if [[ " $* " =~ " "(tools|systems)" " ]]; then
    # Miri, ThreadSanitizer's own std, and that of systems for which rustup has none.
    components=$(rustup +nightly component list --installed 2>/dev/null || true)
    for component in miri rust-src; do
        grep -q "^$component" <<<"$components" ||
            rustup toolchain install nightly --profile minimal --component miri --component rust-src ||
            die "rustup has no nightly toolchain with miri and rust-src"
    done
fi
installed=$(rustup target list --installed)
targets=()
for item in "$@"; do
    case $item in
        tools | bench) ;;
        systems) targets+=("${COMPILED[@]}" "$WINDOWS") ;;
        *) targets+=("$item") ;;
    esac
done
for target in "${targets[@]}"; do
    grep -qx "$target" <<<"$installed" ||
        rustup target add "$target" || die "rustup has no target $target"
done
