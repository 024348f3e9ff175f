"""Steps through the stub and the trampoline and compares every unwind with the truth.

Run by gdb, started by ci/cfi.sh; the arguments are in the environment: CFI_ARCH,
CFI_PROGRAM, CFI_ROUNDS, CFI_EMULATOR (a command; empty: the program runs here),
CFI_FIRST (not empty: stop at the first bad check). Exit status: WRONG or BLIND, below.

The truth needs no unwinder: on the first instruction of a stub the caller's pc, CFA and
registers are the live ones. Each gets a value that occurs nowhere else, is compared one
frame up at every instruction until the stub returns, live at the `ret`, and then given
back. Whatever is dead is spoilt first, so that wrong information cannot be right by luck:
the memory below sp, where a popped register still stands; the sp of a record that was
just entered; the register that held the link, when the entry function returns.

Between the load of sp and the landing, the frame that is described is the one left.
"""

import ctypes
import itertools
import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field

import gdb


@dataclass
class Arch:
    sp: str
    fp: str
    reserved: str  # the other register that travels in the record
    saved: list  # the other callee-saved registers
    link: str  # holds the link on landing
    results: tuple  # hold what a function returns, unless that is in memory
    returns: str  # expression: the return address, on the first instruction
    pushed: int = 0  # what the call itself has pushed
    popped: int = 0  # what a return takes off the stack besides that
    guessed: bytes = b""  # an instruction at which gdb guesses and does not read CFI
    word: int = 8  # bytes
    arguments: tuple = ()  # callee-saved, and not ours to change: they carry arguments
    features: tuple = ()  # what gdb shall know of the machine instead of what the emulator says
    kept: tuple = ()  # those of `saved` that the trampoline finds again


def numbered(form, first, last):
    return [form.format(n) for n in range(first, last + 1)]


ARCHES = {
    "x86_64": Arch("rsp", "rbp", "rbx", numbered("r{}", 12, 15),
                   "rdx", ("rax", "rdx"), "*(unsigned long *)$rsp", 8, guessed=b"\xc3"),
    "x86": Arch("esp", "ebp", "esi", ["ebx", "edi"],
                "ecx", ("eax", "edx"), "*(unsigned long *)$esp", 4, 4, word=4),
    "aarch64": Arch("sp", "x29", "x19", numbered("x{}", 20, 28) + numbered("v{}.d.u[0]", 8, 15),
                    "x2", ("x0", "x1"), "$x30"),
    "riscv64": Arch("sp", "fp", "s1", numbered("s{}", 2, 11) + numbered("fs{}.double", 0, 11),
                    "a2", ("a0", "a1"), "$ra"),
    # Of a machine with vector registers gdb 13 does not unwind those of floating point, which
    # are parts of them.
    "s390x": Arch("r15", "r11", "r10",
                  numbered("r{}", 7, 9) + ["r12", "r13"] + numbered("f{}", 8, 15),
                  "r5", ("r2",), "$r14", arguments=("r6",), features=(
                      ("core", 64, "uint64", ["pswm", "pswa", *numbered("r{}", 0, 15)]),
                      ("acr", 32, "uint32", numbered("acr{}", 0, 15)),
                      ("fpr", 32, "uint32", ["fpc"]),
                      ("fpr", 64, "ieee_double", numbered("f{}", 0, 15)))),
    "arm": Arch("sp", "r11", "r6",
                ["r4", "r5", *numbered("r{}", 7, 10), *numbered("d{}.u64", 8, 15)],
                "r3", (), "$lr", word=4),
    # Without cr: its fields, which are unwound each for itself, gdb does not know.
    "powerpc64": Arch("r1", "r31", "r30", ["r2", *numbered("r{}", 14, 29),
                      *numbered("f{}", 14, 31), *numbered("vr{}.uint128", 20, 31)],
                      "r5", ("r3", "r4"), "$lr", kept=("r2",)),
}

POISON = b"\xa5" * 576  # as much as the largest frame of a stub
OTHER_STACK = 2048  # sp moves less inside a frame, and more between two stacks
INNER_SP, OUTER_SP = 3, 7  # words of a link
UNSAVED = "<not saved>"
WRONG, BLIND = 1, 2  # exit status: bad unwinding; could not look


def value(frame, register):
    """A register of a frame as text; `v8.d.u[0]` names a part of one."""
    name, *path = re.findall(r"\w+", register)
    found = frame.read_register(name)
    for key in path:
        found = found[int(key) if key.isdigit() else key]
    return UNSAVED if found.is_optimized_out else text(found)


def text(found):
    """Without leading zeros: they depend on the type gdb has for a register."""
    return hex(int(found.format_string(format="x"), 16))


def live(expression):
    return int(gdb.parse_and_eval(f"(unsigned long)({expression})"))


def live_text(register):
    return text(gdb.parse_and_eval("$" + register))


class Program:
    """The instructions and labels of the stub, from the symbol table."""

    def __init__(self, path):
        self.at = {}  # name -> address
        self.function = {}  # address of an instruction -> function
        self.next = {}  # address of an instruction -> address after it
        table = subprocess.run(["readelf", "-sW", path], check=True, capture_output=True, text=True)
        pattern = r"([0-9a-f]+) +(\d+) (FUNC|NOTYPE) .* siding_\d+_\d+_(\w+)$"
        for address, size, kind, name in re.findall(pattern, table.stdout, re.MULTILINE):
            start, size = int(address, 16), int(size)
            self.at[name] = start
            if kind == "FUNC" and name not in ("personality", "find_thread_words"):  # ordinary ones
                self.disassemble(name, start, start + size)

    def disassemble(self, name, start, end):
        architecture = gdb.selected_inferior().architecture()
        for instruction in architecture.disassemble(start, end - 1):
            if instruction["asm"].split()[0] not in ("nop", "nopr"):  # before a landing: never run
                self.function[instruction["addr"]] = name
            self.next[instruction["addr"]] = instruction["addr"] + instruction["length"]


@dataclass
class Call:
    """A stub that was called and has not returned: what one frame up must look like."""

    truth: dict
    original: dict  # what the caller's registers held before they were marked
    left: int = 0  # its sp at the switch


@dataclass
class Stepper:
    arch: Arch
    program: Program
    first: bool
    call: Call = None  # None in the trampoline
    resumers: list = field(default_factory=list)  # suspended in `resume`, innermost last
    paused: dict = field(default_factory=dict)  # sp -> suspended in `pause` or `hand_over`
    fresh: object = field(default_factory=lambda: itertools.count(0x5EED0001))
    seen: set = field(default_factory=set)
    stops: set = field(default_factory=set)
    checks: int = 0
    bad: int = 0

    def stop_at(self, address):
        if address not in self.stops:
            self.stops.add(address)
            gdb.execute(f"break *{address}", to_string=True)

    def expect(self, what, found, expected):
        if found != expected:
            self.bad += 1
            pc = live("$pc")
            offset = pc - self.program.at.get(self.program.function.get(pc), pc)
            where = f"{self.program.function.get(pc)}+{offset}"
            print(f"BAD {where}: {what} is {found}, should be {expected}")
        if self.bad and self.first:
            gdb.execute("kill")
            gdb.execute(f"quit {WRONG}")

    def attempt(self, action, *args, **options):
        """gdb unwinds whenever the program stops: what it cannot stomach is bad, too."""
        try:
            action(*args, **options)
        except gdb.error as error:
            if not gdb.selected_inferior().pid:
                raise
            self.expect("unwinding", str(error), "possible")

    def enter(self):
        """On the first instruction of a stub: note the truth, mark the registers."""
        cfa = live("$" + self.arch.sp) + self.arch.pushed
        truth = {"pc": hex(live(self.arch.returns)), self.arch.sp: hex(cfa)}
        marked = [self.arch.reserved, *self.arch.saved]
        original = {register: copied(register) for register in marked}
        for register in marked:
            gdb.execute(f"set ${register} = {next(self.fresh)}")
        kept = [self.arch.fp, *self.arch.arguments, *marked]
        truth.update((register, live_text(register)) for register in kept)
        self.call = Call(truth, original)

    def land(self, pc, came_from):
        """Keeps the books of who is suspended where, when pc is a landing."""
        at, sp = self.program.at, live("$" + self.arch.sp)
        if pc not in (at["resume_landing"], at["pause_landing"], at["trampoline"]):
            return
        if came_from == "resume":
            self.resumers.append(self.call)
        elif came_from in ("pause", "hand_over"):
            self.paused[self.call.left] = self.call
        if pc == at["resume_landing"]:
            self.call = self.resumers.pop()
        elif pc == at["pause_landing"]:
            self.call = self.paused.pop(sp)
        else:
            self.call = None
            return
        self.expect("sp on landing", sp, self.call.left)
        spent = OUTER_SP if pc == at["resume_landing"] else INNER_SP
        spent = live("$" + self.arch.link) + spent * self.arch.word
        gdb.selected_inferior().write_memory(spent, POISON[: self.arch.word])

    def leave(self, function):
        """After the last jump of a stub: nothing may have changed but the results."""
        found = {register: live_text(register) for register in self.call.truth}
        if function == "resume":  # it went on in a function that will return for it
            found["pc"] = hex(live(self.arch.returns))
            found[self.arch.sp] = hex(live("$" + self.arch.sp) + self.arch.pushed)
        else:
            found[self.arch.sp] = hex(live("$" + self.arch.sp) - self.arch.popped)
        for register, expected in self.call.truth.items():
            self.expect(f"{register} after the return", found[register], expected)
        for register, original in self.call.original.items():
            gdb.set_convenience_variable("original", original)
            gdb.execute(f"set ${register} = $original")
        self.call = None

    def compare(self, which, frame, truth):
        for register, expected in truth.items():
            found = hex(frame.pc()) if register == "pc" else value(frame, register)
            self.expect(f"{register} of the {which}", found, expected)

    def check(self):
        """Spoils what is free below sp, and unwinds from here."""
        pc, sp, memory = live("$pc"), live("$" + self.arch.sp), gdb.selected_inferior()
        memory.write_memory(sp - len(POISON), POISON)
        guessed = self.arch.guessed
        disguised = guessed and memory.read_memory(pc, len(guessed)).tobytes() == guessed
        if disguised:
            memory.write_memory(pc, bytes(len(guessed)))
        gdb.execute("maintenance flush register-cache", to_string=True)
        self.checks += 1
        self.seen.add(pc)
        self.attempt(self.unwind)
        if disguised:
            memory.write_memory(pc, guessed)

    def unwind(self):
        """One frame, compared with the truth; then on to `main`."""
        caller = gdb.newest_frame().older()
        if caller is None:
            self.expect("the caller", None, "a frame")
        elif self.call:
            self.compare("caller", caller, self.call.truth)
        else:
            self.compare("resumer", caller, self.as_seen_by_the_trampoline(self.resumers[-1]))
            beyond = caller.older()
            self.expect("the resumer's caller", beyond is not None, True)
            if beyond is not None:
                self.compare("resumer's caller", beyond, self.resumers[-1].truth)
        self.walk()

    def as_seen_by_the_trampoline(self, resumer):
        place = {"pc": hex(self.program.at["resume_landing"]), self.arch.sp: hex(resumer.left)}
        known = (self.arch.fp, self.arch.reserved, *self.arch.kept)
        kept = {name: resumer.truth[name] for name in known}
        lost = [*self.arch.saved, *self.arch.arguments]
        return {**place, **dict.fromkeys(lost, UNSAVED), **kept}

    def walk(self):
        """The whole chain: one trampoline for each job that is inside another, then main."""
        frame, trampolines, name = gdb.newest_frame(), 0, None
        while frame is not None:
            trampolines += self.program.function.get(frame.pc()) == "trampoline"
            name, frame = frame.name(), frame.older()
        self.expect("the outermost frame", name, "main")
        self.expect("the number of trampolines", trampolines, len(self.resumers))

    def stub(self):
        """From a breakpoint in the stub until control leaves it."""
        pc, function = live("$pc"), None
        if self.program.function[pc] == "trampoline" and self.arch.link not in self.arch.results:
            gdb.execute(f"set ${self.arch.link} = {next(self.fresh)}")
        while pc in self.program.function:
            previous, function = pc, self.program.function[pc]
            if pc == self.program.at[function] and function != "trampoline":
                self.enter()
            self.check()
            sp = live("$" + self.arch.sp)
            self.attempt(gdb.execute, "stepi", to_string=True)
            pc = live("$pc")
            if self.call and abs(live("$" + self.arch.sp) - sp) > OTHER_STACK:
                self.call.left = sp
            self.land(pc, function)
        if function == "trampoline":  # it called the job
            self.stop_at(self.program.next[previous])
        else:
            self.leave(function)


def copied(register):
    """The register's value now; gdb would read it when it is used."""
    found = gdb.parse_and_eval("$" + register)
    found.fetch_lazy()
    return found


def die_with_gdb():
    """For a child: while it waits to be connected to, it ignores SIGTERM."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def describe(features, path):
    """Tells gdb that the machine has no more than this."""
    lines = ["<target><architecture>s390:64-bit</architecture>"]
    for name, group in itertools.groupby(features, key=lambda feature: feature[0]):
        lines.append(f'<feature name="org.gnu.gdb.s390.{name}">')
        for _, bits, kind, registers in group:
            lines += (f'<reg name="{r}" bitsize="{bits}" type="{kind}"/>' for r in registers)
        lines.append("</feature>")
    with open(path, "w") as file:
        file.write("\n".join([*lines, "</target>"]))
    gdb.execute(f"set tdesc filename {path}")


def start(environment, rounds, arch):
    """Runs the program to its first breakpoint."""
    program = environment["CFI_PROGRAM"]
    if not environment["CFI_EMULATOR"]:
        gdb.execute(f"run {rounds}", to_string=True)
        return
    socket = f"{program}.socket"
    if os.path.exists(socket):
        os.unlink(socket)
    emulator = subprocess.Popen(
        [*shlex.split(environment["CFI_EMULATOR"]), "-g", socket, program, str(rounds)],
        preexec_fn=die_with_gdb,
    )
    while emulator.poll() is None:
        try:
            gdb.execute(f"target remote {socket}", to_string=True)
            break
        except gdb.error:  # it does not listen yet
            time.sleep(0.02)
    # Not before: the emulator shows registers to those that have asked it which there are.
    if arch.features:
        describe(arch.features, f"{program}.xml")
    gdb.execute("continue", to_string=True)


def run(environment):
    gdb.execute("set confirm off")
    gdb.execute("set pagination off")
    gdb.execute("set language c")
    gdb.execute("set suppress-cli-notifications on")
    gdb.execute("set backtrace limit 60")
    gdb.execute(f"file {environment['CFI_PROGRAM']}")
    program = Program(environment["CFI_PROGRAM"])
    rounds = int(environment["CFI_ROUNDS"])
    arch = ARCHES[environment["CFI_ARCH"]]
    stepper = Stepper(arch, program, environment["CFI_FIRST"] != "")
    for name in ("resume", "pause", "hand_over"):
        stepper.stop_at(program.at[name])
    start(environment, rounds, arch)
    while gdb.selected_inferior().pid:
        if live("$pc") not in program.function:
            raise gdb.GdbError(f"stopped at {live('$pc'):#x}, outside the stub")
        stepper.stub()
        stepper.attempt(gdb.execute, "continue", to_string=True)
    instructions = len(program.function)
    print(
        f"{environment['CFI_ARCH']}: {rounds} rounds, {stepper.checks} checks over "
        f"{len(stepper.seen)} of {instructions} instructions, {stepper.bad} bad"
    )
    if stepper.bad:
        return WRONG
    looked = len(stepper.seen) == instructions and stepper.checks >= rounds * instructions
    exited = int(gdb.convenience_variable("_exitcode")) == 0
    return 0 if looked and exited else BLIND


try:
    status = run(os.environ)
except Exception as error:  # gdb itself would go on, and exit with 0
    print(f"step.py: {error!r}")
    status = BLIND
gdb.execute(f"quit {status}")
