"""Writes copies of an assembly file, each with one CFI line removed or falsified.

usage: mutants.py FILE.S DIRECTORY

A CFI line is a directive, or the use of a macro made of directives alone. To falsify a
line is to add 8 to the last number in it. A list of registers (.irp) loses its last one.
"""

import re
import sys
from pathlib import Path

# Without these nothing assembles, or there is nothing to look at; and what the last one
# names is called by unwinders: arch-tests/c_abi/better/unwinding.rs looks at that.
FRAME = re.compile(r"\.cfi_(startproc|endproc|sections|personality)")
UNSEEN = re.compile(r"(FUNCTION|END)\(personality\)")
NUMBER = re.compile(r"(?<![\w\\.])(0x[0-9a-f]+|\d+)(?!\w)(?!.*(?<![\w\\.])(0x[0-9a-f]+|\d+)(?!\w))")


def cfi_macros(lines):
    """The names of macros that consist of directives."""
    names, name, pure = set(), None, False
    for line in map(str.strip, lines):
        if line.startswith(".macro"):
            name, pure = line.split()[1], True
        elif line == ".endm":
            names |= {name} if pure else set()
        elif not line.startswith(".cfi_"):
            pure = False
    return names


def falsified(line):
    return NUMBER.sub(lambda number: str(int(number[1], 0) + 8), line)


def mutants(lines):
    """Yields (line number, what was done, the new line)."""
    macros = cfi_macros(lines)
    unseen = False
    for number, line in enumerate(lines, 1):
        if UNSEEN.match(line):
            unseen = line.startswith("FUNCTION")
        if unseen:
            continue
        word = (line.split() or [""])[0]
        if word == ".irp" and lines[number].strip().startswith(".cfi_"):
            yield number, "shortened", line.rpartition(",")[0]
        if FRAME.match(word) or not (word.startswith(".cfi_") or word in macros):
            continue
        yield number, "removed", ""
        if falsified(line) != line:
            yield number, "falsified", falsified(line)


def main(source, directory):
    lines = Path(source).read_text().splitlines()
    for number, done, line in mutants(lines):
        changed = [*lines[: number - 1], line, *lines[number:]]
        Path(directory, f"{number:04}-{done}.S").write_text("\n".join(changed) + "\n")


main(*sys.argv[1:])
