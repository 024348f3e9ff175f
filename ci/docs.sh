#!/usr/bin/env bash
# Whether the documents are true: every C program in them is compiled and run, every ```sh
# command is run, every file and example that they name exists. (Rust is run as doctests.)
#   ci/docs.sh [file ...]         all documents unless told
# Commands that are run elsewhere, or not here, are listed in ci/docs.txt with the reason.
. "$(dirname "$0")/lib.sh"
# As a reader has it: gdb does not know a function by its path without debug information.
unset CARGO_PROFILE_DEV_DEBUG
all=(README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md SECURITY.md benches/README.md docs/guide/*.md examples/c/*/README.md)
(($#)) || set -- "${all[@]}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=0 commands=0 left=0

# Splits the blocks of a language: $work/<document>-<n>.<language>.
extract() { # <file> <language>
    awk -v language="$2" -v out="$work/$(tr '/' '-' <<<"${1%.md}")" '
        $0 == "```" language { file = out "-" ++n "." language; line = NR; next }
        /^```/ { file = ""; next }
        file { print > file }' "$1"
}

c_programs() {
    local source
    for source in "$work"/*.c; do
        [[ -e $source ]] || return 0
        [[ -e $work/prefix ]] || ci/install-capi "$work/prefix" >"$work/log" 2>&1 || die "$(cat "$work/log")"
        # Assertions count, so no -DNDEBUG; in a document they may stand for error handling.
        gcc -O1 -Wall -Wextra -Werror -pthread "$source" -I"$work/prefix/include" \
            -L"$work/prefix/lib" -lsiding -Wl,-rpath,"$work/prefix/lib" -o "$work/program" ||
            die "${source##*/} does not compile"
        timeout 60 "$work/program" || die "${source##*/} fails"
        programs=$((programs + 1))
    done
}

# Whether ci/docs.txt says that a line is not run here. Notes what was used.
excused() { # <line>
    local pattern
    while read -r pattern _; do
        # shellcheck disable=SC2053 # a pattern
        if [[ ${1// /_} == $pattern ]]; then
            echo "$pattern" >>"$work/used"
            return 0
        fi
    done < <(grep -v '^#' ci/docs.txt)
    return 1
}

# A block is one script: lines may depend on each other.
shell_commands() {
    local block line
    for block in "$work"/*.sh; do
        [[ -e $block ]] || return 0
        : >"$work/script"
        while IFS= read -r line; do
            if excused "${line%% #*}"; then
                left=$((left + 1))
            elif [[ -n $line ]]; then
                # Wherever this build puts things.
                # shellcheck disable=SC2001 # a word, not a part of one
                sed "s@\btarget/@$CARGO_TARGET_DIR/@g" <<<"$line" >>"$work/script"
                commands=$((commands + 1))
            fi
        done <"$block"
        timeout 600 bash -euo pipefail "$work/script" >"$work/log" 2>&1 ||
            { cat "$work/log"; die "${block##*/} fails: $(cat "$work/script")"; }
    done
}

# `path/to/something` in a document, and [text](path), must be there.
paths() { # <file>
    local path
    while read -r path; do
        [[ $path == *'<'* || $path == *'*'* || -e $path || -e $(dirname "$1")/$path ]] ||
            die "$1 names $path, which does not exist"
    done < <({
        # shellcheck disable=SC2016 # that is how code is marked
        grep -oE '`(src|ci|arch-tests|benches|examples|asm|tools|docs|include)/[^` ]*`' "$1" | tr -d '`'
        grep -oE '\]\([^):#]+\)' "$1" | sed 's/^](//; s/)$//' | grep -v '^crate'
    } | sort -u)
    while read -r path; do
        [[ -e examples/$path.rs || -e examples/$path ]] || die "$1 runs the example $path, which does not exist"
    done < <(grep -oE -- '--example [a-z_]+' "$1" | sed 's/.* //' | sort -u)
    while read -r path; do
        grep -rqx --include=Cargo.toml "name = \"$path\"" Cargo.toml benches ||
            die "$1 runs the bench $path, which does not exist"
    done < <(grep -oE -- '--bench [a-z_]+' "$1" | sed 's/.* //' | sort -u)
}

for file in "$@"; do
    extract "$file" c
    extract "$file" sh
    paths "$file"
done
c_programs
shell_commands
if [[ $* == "${all[*]}" ]]; then
    while read -r pattern _; do
        grep -qxF -- "$pattern" "$work/used" || die "ci/docs.txt excuses $pattern, which stands in no document"
    done < <(grep -v '^#' ci/docs.txt)
fi
echo "$# documents: $programs C programs, $commands commands run, $left run elsewhere"
