#!/usr/bin/env bash
# The examples as a reader runs them: what they print, and what they say to bad input.
. "$(dirname "$0")/lib.sh"

work=$CARGO_TARGET_DIR/ci
mkdir -p "$work"
cargo build --quiet --release --examples || die "the examples do not build"
cargo build --quiet --release --examples --package siding-tokio-openssl-example ||
    die "the example that needs OpenSSL does not build"
bin=$CARGO_TARGET_DIR/release/examples

"$bin/man_page" | diff - examples/man_page.txt ||
    die "man_page does not print (<) what the manual page says (>)"

for mode in jobs threads blocking; do
    "$bin/offload" --mode "$mode" --jobs 50 --latency 1 src/lib.rs >"$work/offload" ||
        die "offload --mode $mode fails"
    awk '$1 == "chunks" { chunks = $2 } /signatures verified/ { verified = $3 }
         END { exit !(chunks > 0 && chunks == verified) }' "$work/offload" ||
        die "offload --mode $mode: not every signature was verified: $(cat "$work/offload")"
done

# Refused with a status that is not 0, and one line that says why.
refused() { # <what it says> <arguments ...>
    local says=$1 status=0
    shift
    "$bin/offload" "$@" >/dev/null 2>"$work/offload.err" || status=$?
    ((status != 0 && status < 128)) || die "offload $*: status $status"
    if [[ $(wc -l <"$work/offload.err") != 1 ]] || ! grep -q "$says" "$work/offload.err"; then
        die "offload $* says: $(cat "$work/offload.err")"
    fi
}
: >"$work/empty"
refused 'No such file' "$work/missing"
refused 'empty' "$work/empty"
refused 'not a file' /dev/zero
refused '0 is not in' --workers 0
refused '0 is not in' --jobs 0
refused '0 is not in' --chunk 0
refused 'is not in' --jobs 999999999
refused 'too many' --jobs 100000 --mode threads
refused 'possible values' --mode fast

"$bin/cores" 2 | grep 'times as fast' >/dev/null || die "cores fails"

# A guard that does not kill is its failure.
"$bin/million" --jobs 20000 >"$work/million" || die "million fails"
[[ $(grep -c 'deadly, deadly *deadly, deadly' "$work/million") == 1 ]] ||
    die "million: the guards of both kinds should kill: $(cat "$work/million")"

# Clients that hang up and clients that fall silent: nothing may be left behind.
"$bin/tokio_openssl" --handshakes 300 --silent 5 >"$work/tokio_openssl" ||
    die "tokio_openssl fails: $(cat "$work/tokio_openssl")"
grep -q '^signatures offloaded  *270 ' "$work/tokio_openssl" ||
    die "tokio_openssl: not all handshakes were completed: $(cat "$work/tokio_openssl")"
grep -q 'broken off by the client [1-9].* given up [1-9]' "$work/tokio_openssl" ||
    die "tokio_openssl: no client was rude: $(cat "$work/tokio_openssl")"
grep -qx 'left behind: 0 jobs, 0 descriptors' "$work/tokio_openssl" ||
    die "tokio_openssl leaves something behind: $(cat "$work/tokio_openssl")"

# It checks each sum itself.
for flag in --objects=100 --gzip; do
    "$bin/sync_in_async" --streams 100 --runs 1 "$flag" >"$work/sync_in_async" ||
        die "sync_in_async $flag fails"
    [[ $(grep -cE '^(block_on in jobs|spawn_blocking) ' "$work/sync_in_async") == 2 ]] ||
        die "sync_in_async $flag: $(cat "$work/sync_in_async")"
done

"$bin/rustls_server" --handshakes 200 >"$work/rustls_server" ||
    die "rustls_server fails: $(cat "$work/rustls_server")"
grep -q '^180 handshakes completed' "$work/rustls_server" ||
    die "rustls_server: not all handshakes were completed: $(cat "$work/rustls_server")"
grep -qx 'connections served 180, broken off by the client 20, unwound 1' "$work/rustls_server" ||
    die "rustls_server: connections went otherwise: $(cat "$work/rustls_server")"

# On a terminal, of which there is one for the asking.
cargo test --quiet --package siding-top-example || die "top does not draw what it should"
until_drawn() {
    for ((i = 0; i < 300; i++)); do
        ! grep -q 'high-water marks' "$work/terminal" || return 0
        sleep 0.1
    done
}
terminal() { # <keys> <command>
    : >"$work/terminal"
    (until_drawn && printf '%s' "$1") | TERM=xterm timeout 60 script -qfec "stty rows 30 cols 100; $2" "$work/terminal" >/dev/null ||
        die "$2 fails on a terminal"
    grep -q 'high-water marks' "$work/terminal" || die "$2 draws nothing"
}
terminal q "$bin/top --jobs 100"
terminal '' "$bin/offload --watch --jobs 50 --latency 1 src/lib.rs"
terminal '' "$bin/rustls_server --watch --handshakes 100"
