#!/usr/bin/env bash
# Can a debugger see what there is? tools/gdb/siding.py on running programs and on core dumps,
# in Rust and in C; and the static probes of the feature `trace`.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkfifo "$work/input"
program='' pid='' core='' untested=no
pattern=$(</proc/sys/kernel/core_pattern)
ulimit -c unlimited || die "no core dumps are allowed here: raise the hard limit of core files"

# Starts a program that says "ready" and then waits for a line.
begin() { # <program> [environment ...]
    program=$1
    shift
    : >"$work/output"
    (cd "$work" && exec env "$@" "$program") <"$work/input" >"$work/output" &
    pid=$!
    exec 3>"$work/input"
    for ((i = 0; i < 600; i++)); do
        ! grep -q ready "$work/output" || return 0
        sleep 0.1
    done
    die "$program is not ready after a minute"
}

end() {
    echo >&3
    exec 3>&-
    wait "$pid" || die "$program fails after gdb has looked at it"
}

debug() { # <arguments of gdb ...>
    timeout 60 gdb -nx -batch -x tools/gdb/siding.py "$@" >"$work/log" 2>&1 ||
        die "gdb fails: $(cat "$work/log")"
}

# Every row of the table, and what each backtrace must contain.
expect() { # <what> <regular expression ...>
    local what=$1 row
    shift
    for row in "$@"; do
        grep -qE "$row" "$work/log" || die "$what: no line matches '$row': $(cat "$work/log")"
    done
    echo "$what: $# lines as expected"
}

# In a release build the compiler inlines what is called once.
rust=(
    '^0x[0-9a-f]+ +job +paused +- +[0-9]+ of [0-9]+ +.*sign at examples/inspect.rs:[0-9]+$'
    '^0x[0-9a-f]+ +job +paused +- +[0-9]+ of [0-9]+ +.*closure.* at examples/inspect.rs:[0-9]+$'
    '^0x[0-9a-f]+ +job +running +1 +[0-9]+ of [0-9]+ +.*nested at'
    '^0x[0-9a-f]+ +job +running +1 +[0-9]+ of [0-9]+ +.*wait_for_a_line at'
    '^0x[0-9a-f]+ +coroutine +paused +- +[0-9]+ of [0-9]+ +.*closure.* at'
    '^0x[0-9a-f]+ +job +paused +- +[0-9]+ of [0-9]+ +.*closure.* at'
    '^0x[0-9a-f]+ +job +not begun +- '
    '^ +#[0-9]+ +(inspect::)?read_key'
    '^ +#[0-9]+ +(inspect::)?sign'
    '^8 in all: 1 free, 1 not begun, 4 paused, 2 running$'
)

# Kills the program, and sets core to what the kernel left of it. (gcore does not do: it gives
# up a mapping in which it meets a guard.)
dump() {
    rm -f "$work"/core*
    kill -ABRT "$pid"
    exec 3>&-
    wait "$pid" 2>/dev/null || true
    core=$(find "$work" -maxdepth 1 -name 'core*')
    [[ -s $core ]] || die "no core dump of $program in $work"
}

look() { # <program> <what>
    begin "$1"
    debug -p "$pid" -ex 'siding bt'
    end
    expect "$2, live" "${rust[@]}"
    [[ $pattern != [\|/]* ]] || { untested=yes; return; }
    begin "$1" SIDING_CORE_DUMP=1
    dump
    debug "$1" "$core" -ex 'siding bt'
    expect "$2, core dump" "${rust[@]}"
    begin "$1"
    dump
    debug "$1" "$core" -ex 'siding bt'
    expect "$2, core dump without stacks" '^0 in all: none' '^[0-9]+ stacks, none with memory'
}

c_program() {
    ci/install-capi "$work/prefix" >/dev/null
    gcc -g -O1 ci/debugging/paused.c -o "$work/paused" -I"$work/prefix/include" \
        -L"$work/prefix/lib" -lsiding -Wl,-rpath,"$work/prefix/lib"
    begin "$work/paused"
    debug -p "$pid" -ex 'siding bt'
    end
    expect "C, stripped library" \
        '^0x[0-9a-f]+ +job +paused +- +[0-9]+ of [0-9]+ +fetch_key$' \
        '^0x[0-9a-f]+ +job +orphaned +- +[0-9]+ of [0-9]+ +cancelled$' \
        '^0x[0-9a-f]+ +job +running +1 +[0-9]+ of [0-9]+ +wait_for_a_line$' \
        '^ +#[0-9]+ +fetch_key at .*paused.c:[0-9]+$'
}

probes() {
    local name
    readelf -n "$CARGO_TARGET_DIR/debug/examples/inspect" >"$work/log"
    ! grep stapsdt "$work/log" ||
        die "there are probes without the feature"
    cargo build --quiet --package siding --example inspect --features trace
    program=$CARGO_TARGET_DIR/debug/examples/inspect
    readelf -n "$program" >"$work/log"
    for name in start resume pause finish cancel; do
        grep -A 1 'Provider: siding' "$work/log" | grep "Name: $name$" >/dev/null ||
            die "no probe siding:$name: $(cat "$work/log")"
    done
    # shellcheck disable=SC2016 # gdb's variables
    echo | timeout 60 gdb -nx -batch -ex 'break -probe-stap siding:pause' -ex run \
        -ex 'print $_probe_argc' -ex 'print/x $_probe_arg0' -ex backtrace \
        "$program" >"$work/log" 2>&1 || die "gdb: $(cat "$work/log")"
    expect 'a breakpoint at a probe' '^.1 = 2$' '^.2 = 0x[0-9a-f]+$' 'in inspect::'
    cargo test --quiet --package siding --features trace,capi --test suite stats:: \
        >"$work/log" 2>&1 || die "$(cat "$work/log")"
    grep -q '4 passed' "$work/log" || die "the events were not tested: $(cat "$work/log")"
}

# A profiler that follows frame pointers sees a job on top of whoever runs the scheduler.
profile() {
    local through
    RUSTFLAGS="-C force-frame-pointers=yes" cargo build --quiet --release --example cores
    perf record -q -e cpu-clock --call-graph fp -o "$work/perf.data" \
        "$CARGO_TARGET_DIR/release/examples/cores" 1 >/dev/null 2>"$work/log" || die "perf: $(cat "$work/log")"
    perf script -i "$work/perf.data" 2>/dev/null >"$work/samples"
    through=$(awk 'BEGIN { RS = "" } /_trampoline.*siding::scheduler.*start_thread/' "$work/samples" |
        grep -c trampoline || true)
    ((through > 100)) || die "only $through samples go from a job through the switch to its thread"
    tools/flamegraph.py <"$work/samples" >"$work/flames.svg" || die "no flame graph"
    grep -q '<title>siding_.*_trampoline: ' "$work/flames.svg" || die "no trampoline in the flame graph"
    echo "a profile: $through samples of jobs go on in whoever runs them"
}

# Without line tables, what was inlined is not told apart, and the job's function often was.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_PROFILE_RELEASE_DEBUG=line-tables-only
cargo build --quiet --package siding --example inspect
cargo build --quiet --package siding --example inspect --release
look "$CARGO_TARGET_DIR/debug/examples/inspect" debug
look "$CARGO_TARGET_DIR/release/examples/inspect" release
c_program
probes
unset CARGO_PROFILE_RELEASE_DEBUG
profile
[[ $untested == no ]] || echo "NOT TESTED: core dumps, which go elsewhere here: core_pattern is $pattern"
