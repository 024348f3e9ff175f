#!/usr/bin/env bash
# Which module may use which, checked against every path through the crate's root; and
# that assembly, system calls and polling stay where they belong.
. "$(dirname "$0")/lib.sh"

# What a module may name: a module, or a single item of one.
allowed() {
    case $1 in
        guide | sys | local) ;;
        # A context under Miri.
        arch) echo local ;;
        stack) echo sys arch::STACK_ALIGN arch::client_request arch::shadow_stack_active ;;
        context) echo arch stack ;;
        coroutine) echo context stack ;;
        job) echo context stack sys ;;
        offload) echo job sys ;;
        scheduler) echo job offload sys stack ;;
        future) echo job ;;
        stats) echo job stack ;;
        ffi) echo job stack sys scheduler arch::asm_abi arch::with_caller ;;
        *) return 1 ;;
    esac
}

failures=0
fail() {
    echo "$*" >&2
    failures=$((failures + 1))
}

# The code of a file on one line, without comments and the spaces around `::`.
code() {
    sed -E 's@(^|[^:"])//.*@\1@' "$1" | tr -s '[:space:]' ' ' | sed -E 's/ ?:: ?/::/g'
}

# The module that a file belongs to: src/job/pool.rs and src/job.rs are both job.
module_of() {
    local path=${1#src/}
    path=${path%%/*}
    echo "${path%.rs}"
}

# Complains if `text`, from `file` in `module`, has a match for `pattern` that is not allowed.
confine() { # <pattern> <module> <what>
    [[ $module == "$2" ]] || ! grep -qE "(^|[^A-Za-z_0-9])$1" <<<"$text" ||
        fail "$file: $3 belongs in src/$2"
}

mapfile -t files < <(find src -name '*.rs' ! -path src/lib.rs | sort)
mapfile -t modules < <(for file in "${files[@]}"; do module_of "$file"; done | sort -u)
alternatives=$(IFS='|' && echo "${modules[*]}")
paths=0

for file in "${files[@]}"; do
    module=$(module_of "$file")
    text=$(code "$file")
    may=" $module $(allowed "$module") " ||
        { fail "$file: ci/layers.sh does not know the module $module"; continue; }

    while read -r path; do
        paths=$((paths + 1))
        if [[ $path != [a-z]* ]]; then
            fail "$file: one 'use crate::module' a module, please, not crate::$path"
        else
            [[ $may == *" ${path%%::*} "* || $may == *" $path "* ]] ||
                fail "$file: $module may not use $path (only:${may% })"
        fi
    done < <(grep -oE '\bcrate::(\{|\*|\w+(::\w+)?)' <<<"$text" | sed 's/^crate:://' | sort -u)
    # Upwards past its own module is a path through the root in disguise.
    while read -r path; do
        name=${path##*::}
        [[ -e src/$module/$name.rs || -e src/$module/$name ]] ||
            fail "$file: say crate::$name instead of $path"
    done < <(grep -oE "\b(super::)+($alternatives)\b" <<<"$text" | sort -u)

    confine '((global_|naked_)?asm!|(core|std)::arch)' arch "assembly"
    confine '(libc|memmap2)(::| as |[,;}])' sys "what uses libc or memmap2"
    confine 'polling(::| as |;)' scheduler "polling"
done
((paths > 0)) || fail "no path through the crate's root found: is this script blind?"

# The walk of one switch through the code, told in ARCHITECTURE.md.
if [[ -e ARCHITECTURE.md ]]; then
    for n in 1 2 3 4 5 6 7; do
        grep -rqE "switch $n/7\b" src examples asm ||
            fail "ARCHITECTURE.md tells a switch in seven steps; 'switch $n/7' is nowhere"
    done
fi

((failures == 0)) || die "$failures violations"
echo "${#files[@]} files in ${#modules[@]} modules, $paths paths between them: all allowed"
