#!/usr/bin/env bash
# Whether every row of arch-tests/c_abi/rows.txt has a test of its name, in a file where
# tests of its kind are, and every test there is a row.
. "$(dirname "$0")/lib.sh"

list=arch-tests/c_abi/rows.txt
rust=arch-tests/c_abi crypto=ci/differential/tests

files() { # <kind>
    case $1 in
        keep) ls "$rust"/keep/*.rs "$crypto"/crypto/keep.rs "$crypto"/sequences.rs ;;
        keep-alone) ls "$rust"/memory/keep.rs ;;
        better) ls "$rust"/better/*.rs "$rust"/memory/better.rs \
            "$crypto"/crypto/better.rs "$crypto"/late.rs ;;
    esac
}

# Prints "name kind" of each test.
tests() {
    for kind in keep keep-alone better; do
        # The name follows the attribute, with other attributes between them at most.
        # shellcheck disable=SC2046 # names without spaces
        awk -v kind="$kind" '/^ *#\[test\]/ { test = 1 }
            test && sub(/^ *fn /, "") { sub(/\(.*/, ""); print $0, kind; test = 0 }' \
            $(files "$kind")
    done
}

rows() {
    awk '!/^(#|$)/ { print $1, $2 }' "$list"
}

unknown=$(rows | awk '$2 !~ /^(keep|keep-alone|better|beyond|program|pending)$/')
[[ -z $unknown ]] || die "$list: of no kind: $unknown"
twice=$({ rows; tests; } | awk '{ print $1 }' | sort | uniq -c | awk '$1 > 2 { print $2 }')
[[ -z $twice ]] || die "more than once: $twice"

# A pending row with a test is pending no longer.
difference=$(diff <(rows | awk '$2 !~ /^(pending|beyond|program)$/' | sort) <(tests | sort)) ||
    die "rows (<) and tests (>) differ:
$(grep '^[<>]' <<<"$difference")"
while read -r row kind; do
    case $kind in
        beyond) grep -rq "fn $row()" arch-tests/c_extensions ;;
        program) grep -q "$row" ci/real_programs.sh ci/c_examples.sh ;;
    esac || die "no test of the row $row"
done < <(rows)
rows | awk '{ n[$2]++ } END {
    for (kind in n) all = all ", " n[kind] " " kind
    print NR " rows: " substr(all, 3) }'
