# shellcheck shell=bash disable=SC2034
# Sourced, after lib.sh, by the scripts that look at a target from outside the test suite.

# Every architecture once.
TARGETS=("$NATIVE")
for target in "${CROSS[@]}" "${FURTHER[@]}"; do
    [[ $target == *-musl ]] || TARGETS+=("$target")
done

# need <command> <package>
need() {
    command -v "$1" >/dev/null || die "$1 is missing (package $2)"
}

# Sets arch, cc, asm_flags (those of build.rs) and emulator (empty: it runs here).
machine() { # <target>
    local name=CARGO_TARGET_${1//-/_} linker runner
    linker=${name^^}_LINKER
    runner=${name^^}_RUNNER
    [[ " ${TARGETS[*]} " == *" $1 "* ]] || die "unknown target: $1; known: ${TARGETS[*]}"
    arch=$(arch_of "$1")
    cc=${!linker-gcc}
    read -ra emulator <<<"${!runner-}"
    asm_flags=()
    [[ $arch != x86* ]] || asm_flags=(-fcf-protection=branch)

    local compiler=${cc%gcc}
    need "$cc" "gcc${compiler:+-${compiler%-}}"
    ((${#emulator[@]} == 0)) || need "${emulator[0]}" qemu-user
    need rustc "rustup, https://rustup.rs"
    [[ -d $(rustc --print sysroot)/lib/rustlib/$1/lib ]] || die "rustup target add $1"
}
