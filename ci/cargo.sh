# shellcheck shell=bash disable=SC2034
# Sourced, after lib.sh, by the scripts that build siding in variants or run a part of its tests.

# Flags for siding and its tests alone, unlike RUSTFLAGS, so that dependencies are built once
# for all variants. Cargo tells variants apart by the path of the wrapper.
with_flags() { # <variant> <flag ...>
    export RUSTC_WORKSPACE_WRAPPER=$CARGO_TARGET_DIR/ci/rustc-$1
    local new=$RUSTC_WORKSPACE_WRAPPER.$$
    mkdir -p "${new%/*}"
    printf '#!/bin/sh\nexec "$@" %s\n' "${*:2}" >"$new"
    chmod +x "$new"
    # Another cargo may be executing it: it is replaced, not written to.
    mv -f "$new" "$RUSTC_WORKSPACE_WRAPPER"
}

# Of the tests on stdin, one a line, prints those whose names begin as the first word of a line of
# the list. A line that fits no test is a failure.
named_in() { # <list>
    awk -v list="$1" '
        NR == FNR { if (!/^#/) unused[$1] = beginning[$1]; next }
        { for (name in beginning)
            if (index($0, name) == 1) { hit = $0; delete unused[name] } }
        hit { print hit; hit = "" }
        END { for (name in unused) { print list ": " name " begins no test" >"/dev/stderr"; bad = 1 }
              exit bad }' "$1" -
}

# Prints which tests failed in a log of `cargo test` only because a forked child hung until it
# was killed; nothing if there is another one. An emulator that forks beside threads of its own
# leaves the child with a lock of theirs now and then.
hung_in_a_fork() { # <target> <log>
    [[ $1 != x86_64-* && $1 != i686-* ]] || return 0
    awk '/^---- [^ ]+ stdout ----$/ { test = $2; said[test] }
         /^failures:$/ { test = "" }
         test && /Killed\(14\)/ { hung[test] }
         /^    [a-z_:0-9]+$/ && !test { failed[$1] }
         END { for (test in failed) if (!(test in hung)) exit
               for (test in failed) print test }' "$2"
}

# Runs `run <flags for the tests ...>` into the log; what hung in a fork, once more.
run_into() { # <target> <log> <flags for the tests ...>
    local target=$1 log=$2 status=0 hung
    shift 2
    run "$@" >"$log" 2>&1 || status=$?
    if ((status == 101)); then
        mapfile -t hung < <(hung_in_a_fork "$target" "$log")
        ((${#hung[@]})) || return "$status"
        echo "$target: once more: ${hung[*]}"
        status=0
        run --exact "${hung[@]}" >>"$log" 2>&1 || status=$?
    fi
    return "$status"
}

# Prints how many tests passed in a log.
passed_in() { # <log>
    awk '/^test result: / { passed += $4 } END { print passed + 0 }' "$1"
}
