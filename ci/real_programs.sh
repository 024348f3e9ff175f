#!/usr/bin/env bash
# Programs that know nothing of siding, with siding preloaded, and the pausing engine and
# provider of the examples. Each must have started jobs of siding's: a preload that does not
# bind is only a warning, and everything would work just as well.
#   ci/real_programs.sh
. "$(dirname "$0")/lib.sh"

work=$CARGO_TARGET_DIR/ci/real_programs
rm -rf "$work"
mkdir -p "$work"
ci/install-capi "$work/prefix"
library=$work/prefix/lib/libsiding.so.0

cp -r examples/c/pausing_engine "$work/engine"
make --silent -C "$work/engine" CFLAGS='-O2 -g -Wall -Wextra -Werror'
engine=(-engine "$work/engine/pausing_engine.so")
provider=(-provider-path "$work/engine" -provider pausing -provider default
    -propquery '?provider=pausing')

children=()
trap 'kill "${children[@]}" 2>/dev/null || true' EXIT

with_siding() { # <log for errors> <command ...>
    local log=$1
    shift
    SIDING_STATS=1 LD_PRELOAD=$library timeout 60 "$@" 2>"$log"
}

# The number of jobs that the programs of these logs have started, which says that at least
# `least` of them were siding's.
count() { # <what> <least> <log ...>
    local what=$1 least=$2 jobs
    shift 2
    jobs=$(sed -n 's/^siding: \([0-9]*\) jobs started,.*/\1/p' "$@" | awk '{ n += $1 } END { print n + 0 }')
    ((jobs >= least)) || { cat "$@"; die "$what: siding started $jobs jobs, not $least"; }
    echo "$what: $jobs jobs"
}

# ---- The device under the engine and the provider, with each kind of job ----
device() {
    local test=(gcc -O2 -g -Wall -Wextra -Werror -pthread "$work/engine/test.c" "$work/engine/device.c")
    "${test[@]}" -o "$work/device" -lcrypto
    "$work/device" >"$work/out" || die "the device fails with libcrypto's jobs"
    with_siding "$work/err" "$work/device" >"$work/out" || { cat "$work/err"; die "the device fails"; }
    count device 200 "$work/err"
    with_siding "$work/err" valgrind -q --error-exitcode=99 "$work/device" >"$work/out" ||
        { cat "$work/err"; die "the device fails under memcheck"; }
}

# ---- openssl speed: many operations of one kind under way at once ----
speed() { # <what> <load option ...>
    local what=$1 jobs rate
    shift
    for jobs in 1 8 64; do
        PAUSING_LATENCY=10000 with_siding "$work/err" \
            openssl speed -elapsed -seconds 1 "$@" -async_jobs "$jobs" -mr ecdsap256 >"$work/out" ||
            { cat "$work/err"; die "openssl speed fails with the $what"; }
        # +F4:<which>:<bits>:<signatures a second>:<verifications a second>
        rate=$(awk -F: '/^\+F4:/ { print int($4) }' "$work/out")
        count "$what, speed -async_jobs $jobs ($rate signatures/s)" $((2 * jobs)) "$work/err"
    done
    # One after the other there would be a hundred of them at most.
    ((rate > 200)) || die "$what: 64 jobs wait one after the other"
}

# ---- Loaded by configuration, as the README beside them says ----
configured() {
    local conf=$work/engine/README.conf what rate
    sed -n "s@/path/to@$work/engine@; s/^    //p" "$work/engine/README.md" >"$conf"
    sed -n '/^openssl_conf/,/^# or/p' "$conf" >"$work/provider.cnf"
    { printf '%s\n' 'openssl_conf = init' '[init]' 'engines = engines'
        sed -n '/^\[engines\]/,/^default_algorithms/p' "$conf"; } >"$work/engine.cnf"
    for what in engine provider; do
        OPENSSL_CONF=$work/$what.cnf with_siding "$work/err" openssl speed -elapsed -seconds 1 \
            -async_jobs 1 -mr ecdsap256 >"$work/out" || { cat "$work/err"; die "$what.cnf fails"; }
        rate=$(awk -F: '/^\+F4:/ { print int($4) }' "$work/out")
        # Each takes 500 us and more.
        ((rate > 0 && rate <= 2000)) || die "$what.cnf: $rate signatures/s: not by the $what"
        count "$what by configuration" 2 "$work/err"
    done
}

# ---- TLS ----
certificate() { # <name> <option ...>
    local name=$1
    shift
    openssl req -x509 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -keyout "$work/$name.key" -out "$work/$name.crt" "$@" 2>"$work/err" ||
        { cat "$work/err"; die "no certificate"; }
}

# Starts s_server and sets `port`. What it says to its client comes from a pipe.
serve() { # <certificate> <option ...>
    local name=$1 server
    shift
    rm -f "$work/say" "$work/server"
    mkfifo "$work/say"
    exec 3<>"$work/say"
    echo "to the client" >&3
    PAUSING_LATENCY=500 with_siding "$work/server.err" openssl s_server -async -naccept 1 \
        -accept localhost:0 -cert "$work/$name.crt" -key "$work/$name.key" \
        -Verify 1 -CAfile "$work/$name.crt" -verify_return_error "$@" <&3 >"$work/server" &
    server=$!
    children=("$server")
    for _ in {1..600}; do
        port=$(sed -n "s/^ACCEPT .*:\([0-9]*\)$/\1/p" "$work/server" 2>/dev/null || true)
        [[ -z $port ]] || return 0
        sleep 0.1
    done
    cat "$work/server.err"
    die "s_server does not come up"
}

served() { # <what>
    exec 3>&-
    wait "${children[@]}" || { cat "$work/server.err"; die "$1: s_server fails"; }
    children=()
    grep -q 'to the server' "$work/server" || die "$1: s_server got no data"
}

# Until then its stdin stays open: at the end of that it hangs up.
until_answered() {
    for _ in {1..500}; do
        ! grep -q 'to the client' "$work/client" || return 0
        sleep 0.1
    done
}

tls() { # <what> <load option ...>
    local what=$1 name version
    shift
    for name in rsa ec; do
        for version in tls1_2 tls1_3; do
            serve "$name" "$@"
            : >"$work/client"
            { echo "to the server" && until_answered; } | with_siding "$work/client.err" \
                openssl s_client -async "$@" -"$version" -connect "localhost:$port" \
                -CAfile "$work/$name.crt" -cert "$work/$name.crt" -key "$work/$name.key" \
                -verify_return_error >"$work/client" || { cat "$work/client.err"; die "s_client fails"; }
            served "$what, $name, $version"
            grep -q 'to the client' "$work/client" || die "$what, $name, $version: s_client got no data"
            count "$what, $name, $version: s_server" 3 "$work/server.err"
            count "$what, $name, $version: s_client" 3 "$work/client.err"
        done
    done
    for version in TLSv1_2 TLSv1_3; do
        serve ec "$@"
        with_siding "$work/client.err" python3 ci/real_programs/client.py "$port" "$work/ec.crt" \
            "$work/ec.crt" "$work/ec.key" "$version" >"$work/client" ||
            { cat "$work/client.err"; die "the Python client fails"; }
        served "$what, Python, $version"
        grep -q 'to the client' "$work/client" || die "Python got $(cat "$work/client")"
        count "$what, Python, $version: s_server" 3 "$work/server.err"
    done
}

# ---- Other ways to a libcrypto ----
loaded_later() {
    local cc=(gcc -O2 -Wall -Wextra -Werror)
    "${cc[@]}" -shared -fPIC ci/real_programs/plugin.c -o "$work/plugin.so" -lcrypto
    "${cc[@]}" ci/real_programs/plugin_host.c -o "$work/plugin_host"
    with_siding "$work/err" "$work/plugin_host" "$work/plugin.so" >"$work/out" ||
        { cat "$work/err"; die "a plugin with a libcrypto of its own fails"; }
    count "libcrypto loaded by a plugin" 2 "$work/err"
    # The row libcryptos_own_calls_of_init_thread_are_forwarded.
    "${cc[@]}" ci/real_programs/mixed.c -o "$work/mixed" -lcrypto
    with_siding "$work/err" "$work/mixed" >"$work/out" || { cat "$work/err"; die "mixed use fails"; }
    count "libcrypto's own functions besides" 2 "$work/err"
}

device
loaded_later
certificate rsa -newkey rsa:2048
certificate ec -newkey ec -pkeyopt ec_paramgen_curve:P-256
speed engine "${engine[@]}"
speed provider "${provider[@]}"
configured
tls engine "${engine[@]}"
tls provider "${provider[@]}"
