#!/usr/bin/env bash
# Other systems than Linux, most of which cannot be run here: the crate and its assembly compile,
# with the C ABI and without, and its tests where rustup has a std, and are linted.
#   ci/other_systems.sh [target ...]
. "$(dirname "$0")/lib.sh"

(($#)) || set -- "${COMPILED[@]}" "${COMPILED_WITH_STD[@]}" "$WINDOWS"

# Of its own: nothing here is built for another step, which might hold the lock.
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/ci/systems

# The assembly is for clang: one that knows all of these.
export SDKROOT=/
for target in "$@"; do
    export "CC_${target//-/_}=clang-19" "AR_${target//-/_}=llvm-ar-19"
done

# What is private on Mach-O, where `nm` says so; the ELF systems have what Linux has.
check_symbols() { # <arch>
    local object=$CARGO_TARGET_DIR/ci/$1-apple.o symbols public
    mkdir -p "${object%/*}"
    clang-19 --target="$1-apple-macos11" -c "asm/$1.S" -o "$object"
    symbols=$(llvm-nm-19 --format=darwin --defined-only --extern-only "$object")
    public=$(grep -vE ' private external (\[alt entry\] )?_siding_' <<<"$symbols" || true)
    [[ -z $public ]] || die "$1, Mach-O: public or without prefix: $public"
    (($(wc -l <<<"$symbols") >= 6)) || die "$1, Mach-O: only these symbols: $symbols"
    llvm-objdump-19 -d "$object" >"${object%.o}.code"
    ! grep -E '\b[xw]18\b' "${object%.o}.code" || die "$1, Mach-O: x18 is the system's"
}

for target in "$@"; do
    begin=$SECONDS
    check=(--quiet --package siding --target "$target") what=--tests strict="-D warnings"
    if [[ " ${COMPILED_WITH_STD[*]} " == *" $target "* ]]; then
        # Not linted, for nightly's lints change; what is special there is, for the others.
        check=(cargo +nightly check "${check[@]}" "-Zbuild-std=std,panic_unwind") what=--lib strict=
    else
        check=(cargo clippy "${check[@]}")
    fi
    RUSTFLAGS=$strict "${check[@]}" --lib || die "$target does not compile"
    RUSTFLAGS=$strict "${check[@]}" "$what" --features capi ||
        die "$target does not compile with the C ABI"
    # What only the code generator refuses.
    [[ ${check[1]} == +nightly ]] ||
        cargo build --quiet --package siding --lib --features capi --target "$target" ||
        die "$target: no code is generated"
    [[ $target != *-apple-* ]] || check_symbols "${target%%-*}"
    echo "$target: compiles ($((SECONDS - begin)) s)"
done
