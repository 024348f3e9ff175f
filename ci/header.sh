#!/usr/bin/env bash
# The C headers say what the library is: each function that they declare is exported with
# the same types, down to the layout of structures, and nothing else is.
#   ci/header.sh
. "$(dirname "$0")/lib.sh"

work=$CARGO_TARGET_DIR/ci/header
mkdir -p "$work"

# The compilers' own debug information is what gets compared: no second parser of C or of
# Rust, and aliases are resolved.
cargo rustc --quiet --lib --no-default-features --features capi --crate-type cdylib \
    --target "$NATIVE" --config 'profile.dev.debug="full"' || die "the library does not build"
library=$CARGO_TARGET_DIR/$NATIVE/debug/libsiding.so

gcc -Iinclude -include include/siding.h -x c -fsyntax-only -aux-info "$work/prototypes" /dev/null
sed -nE 's@^/\* (\./)?include/[^*]*\*/ [^(]*[ *](\w+) \(.*@\2@p' "$work/prototypes" |
    sort >"$work/declared"
for name in ASYNC_start_job siding_version; do
    grep -qx "$name" "$work/declared" || die "does not find $name in the headers: blind?"
done

# What siding passes on to libcrypto is declared in OpenSSL's headers.
nm -D --defined-only "$library" | awk '{ print $3 }' |
    grep -vxE 'OSSL_LIB_CTX_set0_default|OPENSSL_thread_stop' | sort >"$work/exported"
diff "$work/declared" "$work/exported" || die "declared (<) and exported (>) differ"

{
    echo '#include <siding.h>'
    sed 's/.*/__typeof__(\&&) header_& = \&&;/' "$work/declared"
} >"$work/declared.c"
gcc -g -Iinclude -c -o "$work/declared.o" "$work/declared.c"
DECLARED="$work/declared" LIBRARY=$library OBJECT="$work/declared.o" \
    gdb -nx -batch -x ci/header/compare.py || die "declared and defined differ"
