#!/usr/bin/env bash
# Looks at what is built instead of running it: symbols, notes and landing pads of the
# assembly, in C programs and shared libraries that contain it, and inlined into Rust.
#   ci/symbols.sh [target ...]      every architecture unless told
. "$(dirname "$0")/lib.sh"
. ci/cargo.sh
. ci/machine.sh
(($#)) || set -- "${TARGETS[@]}"

prefix=siding_$(version_digits)_
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failures=0
fail() {
    echo "$target: $*" >&2
    failures=$((failures + 1))
}

# What differs: the GNU toolchain, the flag by which C code carries the same note, the
# note, what must stand where an indirect jump or call arrives, jumps that must not be; and
# how the stack pointer is taken from a record, and what alone may follow.
choose() {
    case $target in
        i686-*)
            gnu=i686-linux-gnu- cflags=-fcf-protection=branch note='x86 feature: IBT$'
            pad=endbr32 call_pad=endbr32 bad_jump='notrack'
            sp_load=' mov 0x[0-9a-f]+\(%e[a-z]+\),%esp ?$' leave=' jmp \*0x'
            ;;
        x86_64-*)
            gnu='' cflags=-fcf-protection=branch note='x86 feature: IBT$'
            pad=endbr64 call_pad=endbr64 bad_jump='notrack'
            sp_load=' mov 0x[0-9a-f]+\(%r[a-z0-9]+\),%rsp ?$' leave=' jmp \*'
            ;;
        aarch64-*)
            gnu=aarch64-linux-gnu- cflags=-mbranch-protection=bti note='AArch64 feature: BTI$'
            sp_load=' mov sp, x16 ?$' leave=' br x17 ?$'
            pad='bti\s+(c|j|jc)' call_pad='bti\s+j?c' bad_jump='\sbr\s+x([0-9]|1[0-589]|[23].)$'
            ;;
        riscv64gc-*)
            # Zicfilp has no note in these tools; jumps through t2 need no pad. Jumps
            # through ra and t0 are returns to the predictor.
            gnu=riscv64-linux-gnu- cflags=-O1 note=''
            sp_load=' ld sp,[0-9]+\(' leave=' jr t2 ?$'
            pad='' call_pad='' bad_jump='\sj(al)?r\s.*\b(t0|x5)\b|\sjr\s+ra'
            ;;
        s390x-*)
            # Jumps go through r1, and through r14 where they are returns.
            gnu=s390x-linux-gnu- cflags=-O1 note=''
            sp_load=' lg %r15,[0-9]+\(%r([0-9]|1[0-4])\)' leave=' br %r1 ?$'
            pad='' call_pad='' bad_jump='\sbr\s+%r([02-9]|1[0-35])$|\sbasr?\s+%r([0-9]|1[0-35]),'
            ;;
        armv7-*)
            # No pads. `bx lr` is a return, as is a load into pc, which a switch must not be.
            gnu=arm-linux-gnueabihf- cflags=-O1 note=''
            sp_load=' ldr sp, \[(r[0-9]|fp|ip|lr),' leave=' bx r[0-9] ?$'
            pad='' call_pad='' bad_jump='\s(mov|ldr)\s+pc,|\sblx\s+lr'
            ;;
        powerpc64le-*)
            # Through lr, a jump that calls would be one to the predictor, too.
            gnu=powerpc64le-linux-gnu- cflags=-O1 note=''
            sp_load=' ld r1,[0-9]+\(r([02-9]|[12][0-9]|3[01])\)' leave=' bctr ?$'
            pad='' call_pad='' bad_jump='\sb[a-z]*lrl'
            ;;
        *) die "nothing known of $target" ;;
    esac
}

# Takes the assembly's object out of the static library.
take_object() {
    cargo rustc --quiet --lib --release --crate-type staticlib --target "$target" ||
        die "$target: the static library does not build"
    library=$CARGO_TARGET_DIR/$target/release/libsiding.a
    local members
    members=$("${gnu}nm" -A "$library" 2>/dev/null |
        awk -F: -v symbol="${prefix}trampoline" '$3 ~ " T " symbol "$" { print $2 }')
    [[ $members == *.o ]] || die "$target: no single object defines ${prefix}trampoline: $members"
    "${gnu}ar" p "$library" "$members" >"$work/asm.o"
}

# Every global symbol carries the version and is hidden; functions have type and size.
check_symbols() {
    # Where a powerpc64 function is entered from its own module stands in between.
    readelf -sW "$work/asm.o" | sed 's/\[<localentry>: [0-9]*\]//' |
        awk '$5 == "GLOBAL" && $7 != "UND"' >"$work/symbols"
    local value size type visibility name
    while read -r _ value size type _ visibility _ name; do
        [[ $name == "$prefix"* ]] || fail "$name lacks the prefix $prefix"
        [[ $visibility == HIDDEN ]] || fail "$name is $visibility, not hidden"
        [[ $type != FUNC || $size != 0 ]] || fail "$name has no size"
        case $type:${name#"$prefix"} in
            TLS:* | *:end) ;;
            NOTYPE:* | FUNC:trampoline) check_pad "$name" "$value" "$pad" ;;
            *) check_pad "$name" "$value" "$call_pad" ;;
        esac
    done <"$work/symbols"
    # Not every linker says that it is missing, nor does every kernel care.
    readelf -SW "$work/asm.o" >"$work/sections"
    grep -qE 'note\.GNU-stack +PROGBITS +0+ [0-9a-f]+ 0+ +00 +0 ' "$work/sections" ||
        fail "the assembly does not ask for a stack that is not executable"
    (($(grep -c FUNC "$work/symbols") >= 4)) || fail "only these symbols: $(cat "$work/symbols")"
}

# Whatever has a name may be jumped to; functions are also called.
check_pad() { # <name> <address> <pad>
    [[ -n $3 ]] || return 0
    "${gnu}objdump" -d --no-show-raw-insn --start-address="0x$2" "$work/asm.o" >"$work/code"
    grep -m 1 -E '^ +[0-9a-f]+:' "$work/code" | grep -E ":\s+$3\$" >/dev/null || fail "$1 begins without $3"
}

# The note of `file` is exactly what we want: nothing promised that is not kept.
check_note() { # <file>
    local found
    found=$(readelf -nW "$1" | grep 'feature: ' || true)
    if [[ -n $note ]]; then
        grep -qE "$note" <<<"$found" || fail "${1##*/}: note is '$found', not '$note'"
    else
        [[ -z $found ]] || fail "${1##*/}: unexpected note '$found'"
    fi
}

# Links as a C project does: a Rust link would hide an executable stack.
check_linked() {
    {
        awk '$4 != "TLS" { print "extern char " $8 "[];" }' "$work/symbols"
        echo 'char *const symbols[] = {'
        awk '$4 != "TLS" { print $8 "," }' "$work/symbols"
        echo '}; int main(void) { return !symbols[0]; }'
    } >"$work/main.c"
    local cc=("${gnu}gcc" "$cflags" -fPIC "-Wl,--fatal-warnings" "$work/main.c" "$library")
    "${cc[@]}" -o "$work/program" || { fail "the C program does not link"; return; }
    "${cc[@]}" -shared -nostdlib -o "$work/library.so" || { fail "the C library does not link"; return; }
    for file in "$work/program" "$work/library.so"; do
        readelf -lW "$file" >"$work/segments"
        grep -qE 'GNU_STACK .* RW +0x' "$work/segments" || fail "${file##*/}: executable stack"
    done
    readelf -sW "$work/program" >"$work/symbols.all"
    grep -q "${prefix}trampoline" "$work/symbols.all" || fail "the program lacks the assembly"
    readelf --dyn-syms -W "$work/library.so" >"$work/symbols.dynamic"
    grep -q '^Symbol table' "$work/symbols.dynamic" || fail "library.so has no dynamic symbols: blind?"
    ! grep "$prefix" "$work/symbols.dynamic" || fail "library.so exports these"
    # The C runtime's own objects are unmarked: only a library without them shows the note.
    check_note "$work/library.so"
}

# Whoever has changed stacks leaves by a jump at once. A `ret` would be a surprise for the
# return predictor, and for a shadow stack.
check_leaving() { # <program> <the least number of switches>
    local found
    found=$("${gnu}objdump" -d --no-show-raw-insn "$1" | tr -s '\t ' ' ' | load=$sp_load leave=$leave awk '
        changed && $0 !~ ENVIRON["leave"] { print "leaves by:" $0 }
        { changed = $0 ~ ENVIRON["load"] }
        changed { switches++ }
        END { print switches + 0 }')
    [[ $found != *leaves* ]] || fail "${1##*/}: $found"
    ((${found##*$'\n'} >= $2)) || fail "${1##*/}: $found changes of stacks: is this check blind?"
}

# The same pads where the switch was inlined into Rust.
check_inlined() {
    local program switches
    program=$(with_flags dylib-inline -C prefer-dynamic
        cargo test --no-run --release -p siding-dylib --target "$target" 2>&1 |
            sed -n 's/.*Executable.*(\(.*\))$/\1/p')
    [[ -x $program ]] || { fail "the test program does not build"; return; }
    check_leaving "$program" 2
    # Awk's regular expressions know no \s everywhere: tabs become spaces.
    "${gnu}objdump" -d --no-show-raw-insn "$program" | tr -s '\t ' ' ' | awk -v pad="${pad//\\s/ }" '
        function number(digits, sum, i) {
            for (i = 1; i <= length(digits); i++)
                sum = sum * 16 + index("0123456789abcdef", substr(digits, i, 1)) - 1
            return sum
        }
        { address = $1; sub(/:$/, "", address); code[address] = $0 }
        # A switch takes the address of its landing, changes the stack, jumps.
        / lea .*\(%rip\),%rax/ { landing = $(NF - 1); taken = NR }
        # Its distance from the instruction before, whose address is that of a call of the next.
        # Or from where it is: the instruction before took the address of itself.
        / lea 0x[0-9a-f]+\(%edi\),%edi/ {
            split($NF, distance, /[x(]/)
            landing = sprintf("%x", number(before) + number(distance[2])); taken = NR
        }
        { before = address }
        / adr / { landing = $4; taken = NR }
        / mov .*,%[re]sp/ || / mov sp,/ { changed = NR }
        / jmp \*0x[13]0\(%rdx\)/ || / jmp \*0x(8|18)\(%ecx\)/ || / br x1[67]/ {
            if (taken && NR - taken < 12 && changed > taken) landings[landing]
            taken = 0
        }
        / lg %r15,(24|56)\(%r5\)/ { changed = NR }
        / br %r1$/ && changed == NR - 1 { switches++ }
        / jr t2/ || / stm.*\{r6, fp, ip, lr\}/ { switches++ }
        / ld r1,(24|56)\(r5\)/ { loaded = NR }
        / bctr$/ && NR == loaded + 1 { switches++ }
        END {
            for (landing in landings) {
                switches++
                if (code[landing] !~ ": " pad " ?$") { print "no pad: " code[landing]; bad = 1 }
            }
            print switches + 0
            exit bad
        }' >"$work/inlined" || fail "inlined: $(cat "$work/inlined")"
    switches=$(tail -n 1 "$work/inlined")
    ((switches >= 2)) || fail "found $switches inlined switches: is this check blind?"
    echo "$target: $(wc -l <"$work/symbols") symbols, $switches inlined switches"
}

for target in "$@"; do
    choose
    take_object
    check_symbols
    check_note "$work/asm.o"
    check_linked
    check_leaving "$work/asm.o" 4
    # Into a file: a tool that fails ends the script.
    "${gnu}objdump" -d --no-show-raw-insn "$work/asm.o" >"$work/code"
    ! grep -E "$bad_jump" "$work/code" || fail "a bad jump"
    check_inlined
done
((failures == 0)) || die "$failures failures"
