#!/usr/bin/env bash
# Format, lints, documentation, shell scripts.
#   ci/lint.sh [target ...] [-- target ...]
#                                lints for these targets, the native one unless told; for those
#                                after the dashes the library alone
#   ci/lint.sh --quick           not the other members of the workspace, which depend on a lot
. "$(dirname "$0")/lib.sh"
quick=no
[[ ${1-} != --quick ]] || { quick=yes && shift; }
(($#)) || set -- "$NATIVE"

cargo fmt --all --check -- --color=never || die "not formatted: run cargo fmt"

# Scripts are what git knows (or would add) by that name or with a shell in the first line.
known=$(git ls-files --cached --others --exclude-standard)
mapfile -t files <<<"$known"
scripts=()
for file in "${files[@]}"; do
    [[ -f $file ]] || continue
    [[ $file == *.sh ]] || head -n 1 "$file" | grep -qaE '^#!.*sh$' || continue
    scripts+=("$file")
done
shellcheck "${scripts[@]}" || die "shellcheck is not content"

# A check that nobody calls is no check, and a command that does not exist no advice.
called=$(sed -E 's/(^| )# .*//' ci/test)
for file in ci/*.sh; do
    [[ ! -x $file ]] || grep -qwF "$file" <<<"$called" || die "ci/test does not call $file"
done
while read -r file; do
    [[ -e $file ]] || die "CONTRIBUTING.md names $file, which does not exist"
done < <(grep -oE '\b(ci|arch-tests)/[a-z_/.]*[a-z_/]' CONTRIBUTING.md | sort -u)

# What SECURITY.md says tests a promise: files, and names of tests.
while read -r name; do
    if [[ $name == */* ]]; then
        [[ -e $name ]] || die "SECURITY.md names $name, which does not exist"
    else
        grep -rqE "fn $name\(" arch-tests src || die "SECURITY.md names $name, which is no test"
    fi
done < <(sed -n 's/^|.*|\([^|]*\)|$/\1/p' SECURITY.md | grep -oE '[a-z_0-9-]+(/[a-zA-Z_0-9./]+|_[a-z_0-9]+)' | sort -u)

clippy() { # <target> <flags for cargo ...> [-- <flags for the crate ...>]
    local flags=(--quiet --target "$@")
    [[ " $* " == *" -- "* ]] || flags+=(--)
    cargo clippy "${flags[@]}" -D warnings -D clippy::too_many_lines || die "clippy is not content: $*"
}
what=--all-targets
for target in "$@"; do
    # What differs is in siding itself.
    if [[ $target == -- ]]; then
        what=--lib
    else
        clippy "$target" --package siding "$what" --features capi
    fi
done
# The other form of the switch is the same for all.
clippy "$1" --package siding --all-targets --features capi -- --cfg siding_outline
# That by the C library, too; the build script has to know.
RUSTFLAGS="${RUSTFLAGS-} --cfg siding_ucontext" clippy "$NATIVE" --package siding --all-targets --features capi
# corosensei, which two members are compared with, is not for every target.
[[ $quick == yes ]] || clippy "$NATIVE" --workspace --all-targets --all-features
# Fewer features must leave nothing unused, and no test behind that needs them.
clippy "$1" --package siding --all-targets
clippy "$1" --package siding --all-targets --no-default-features
clippy "$1" --package siding --all-targets --no-default-features --features std

rustdoc() { # <flags for cargo ...>
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --all-features "$@" ||
        die "rustdoc is not content $*"
}
rustdoc
# Links into the internals are for readers of the source.
rustdoc --document-private-items
