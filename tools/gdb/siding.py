"""Jobs and coroutines of siding in gdb, in a running program or in a core dump.

    gdb -x tools/gdb/siding.py <program> [<core> | -p <pid>]

    siding jobs          state, thread, stack use and function of each, and how many there are
    siding bt            the same with a backtrace of each
    siding bt <address>  of the one with this control block

Up to 100 are shown; `siding jobs all` and `siding bt all` show more.

The list of slabs (src/stack/listed.rs) is the only thing that the library keeps for this.
A control block is known by two of its words: the trampoline's address and the bottom of
the stack that it lies on. Nothing is changed in the program: a paused job is unwound as if
it had called the innermost frame of the selected thread.

Stacks are left out of core dumps unless the program asks for them or runs with
SIDING_CORE_DUMP=1. Those that gcore makes lack them on Linux 6.13 and later: it gives up a
mapping in which it meets a guard.
"""

import re
import struct

import gdb
import gdb.unwinder

# The layout of the control block, of a slab, of a handle's entry: unit tests compare. Where
# there are two, with 64 bits and with 32.
TRAMPOLINE = 64
BOTTOM = 72, 68
FUNCTION = 136, 112
# ... from a control block to the top of its stack: what is larger than the first is a job.
COROUTINE_SIZE = 256
LARGEST_SIZE = 1024
ENTRY_SIZE = 64
ENTRY_RUN = 8
ENTRIES = 1024
# Tops are staggered.
LINE = 64
COLOURS = 32

VERSION = "0_1"
# For each architecture, what a record holds: reserved, fp, pc, sp. ("i386:x86-64" is the first.)
REGISTERS = {
    "x86-64": ("rbx", "rbp", "rip", "rsp"),
    "aarch64": ("x19", "x29", "pc", "sp"),
    "riscv": ("s1", "fp", "pc", "sp"),
    "i386": ("esi", "ebp", "eip", "esp"),
    "s390": ("r10", "r11", "pc", "r15"),
    "arm": ("r6", "r11", "pc", "sp"),
    "powerpc:common64": ("r30", "r31", "pc", "r1"),
}
# What lies around a job's own functions, by name and by file.
SCAFFOLD = re.compile(
    r"(siding|core|std|alloc)::|<(core|std|alloc|siding)|siding_|__rust|\?\?|.* at "
    r"(/rustc/|library/|(.*/)?src/(context|job|scheduler|coroutine|future)/|(.*/)?asm/)"
)


def registers():
    name = gdb.selected_inferior().architecture().name()
    for key, names in REGISTERS.items():
        if key in name:
            return names
    raise gdb.GdbError("siding: nothing known of the architecture " + name)


def address_of(symbol):
    """The address of a symbol, or 0. Without debug information its name ends in a hash."""
    try:
        text = gdb.execute("with language c -- output/x (long) &'%s'" % symbol, to_string=True)
        # After it gdb may say that the frame is in another language.
        return int(re.match("0x[0-9a-f]+", text)[0], 16)
    except gdb.error:
        text = gdb.execute("info variables -q ^%s" % symbol, to_string=True)
        line = r"^(0x[0-9a-f]+) +%s(::h[0-9a-f]+)?$" % symbol
        found = re.search(line, text, re.MULTILINE)
        return int(found[1], 16) if found else 0


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


class Words:
    """How the program stores them."""

    def __init__(self):
        self.size = gdb.newest_frame().read_register("sp").type.sizeof
        self.order = ">" if "big" in gdb.execute("show endian", to_string=True) else "<"

    def unpack(self, form, memory, at=0):
        """By struct's letters, and P for a word."""
        form = form.replace("P", "Q" if self.size == 8 else "L")
        return struct.unpack_from(self.order + form, memory, at)

    def read(self, address, count=1):
        return self.unpack("%dP" % count, read(address, count * self.size))


WORDS = None  # those of the program that was looked at last


def name_of(pc):
    """The function at an address, with its generics where there is debug information."""
    block = None
    try:
        block = gdb.block_for_pc(pc)
    except RuntimeError:
        pass
    while block is not None and block.function is None:
        block = block.superblock
    if block is not None:
        return block.function.print_name
    text = gdb.execute("info symbol %d" % pc, to_string=True)
    return "??" if text.startswith("No symbol") else text.split(" in section")[0].split(" + ")[0]


class Slab:
    def __init__(self, start, stride, count):
        self.start, self.stride, self.count = start, stride, count

    def top(self, index):
        return self.start + (index + 1) * self.stride - index % COLOURS * LINE


def slabs():
    head = address_of("siding::stack::listed::LISTED")
    if not head:
        raise gdb.GdbError("siding: no list of slabs: is siding in this program, with symbols?")
    (at,), found = WORDS.read(head), []
    while at:
        start, stride, count, at = WORDS.read(at, 4)
        if start > 1:
            found.append(Slab(start, stride, count))
    return found


def handles():
    """The entries of jobs that C has started, by control block: (run, owner)."""
    table, found = address_of("siding::job::handle::TABLE"), {}
    while table:
        (chunk,) = WORDS.read(table)
        if not chunk:
            break
        memory = read(chunk, ENTRY_SIZE * ENTRIES)
        for at in range(0, len(memory), ENTRY_SIZE):
            run, job, owner = WORDS.unpack("QPP", memory, at + ENTRY_RUN)
            if job:
                found[job] = (run, owner)
        table += WORDS.size
    return found


class Job:
    """A context that has not ended, or whose stack waits for the next."""

    def __init__(self, control, top, memory, handle):
        self.control = control
        self.record = WORDS.unpack("4P", memory)
        self.trampoline, self.bottom = WORDS.unpack("2P", memory, TRAMPOLINE)
        self.kind = "coroutine" if 0 < top - control <= COROUTINE_SIZE else "job"
        self.handle = handle
        self.thread = None
        self.frames = []
        self.function, self.outermost = "??", None
        if handle is not None:
            at = FUNCTION[WORDS.size == 4]
            self.function = name_of(*WORDS.unpack("P", memory, at))

    def contains(self, sp):
        return self.bottom <= sp < self.control

    def state(self):
        ended = self.handle is not None and self.handle[0] % 2 == 0
        if self.thread is not None:
            return "running"
        if self.record[2] == 0 or ended:
            return "free"
        if self.record[2] == self.trampoline:
            return "not begun"
        if self.handle is not None and (self.handle[1] == 0 or self.handle[1] % 2 == 1):
            return "orphaned"
        return "paused"

    def used(self):
        sp = self.frames[0][1] if self.frames else self.record[3]
        return self.control - sp

    def cut(self):
        """Leaves out the outermost frames, those of the machinery, and remembers the next."""
        for at in range(len(self.frames), 0, -1):
            name, _, where = self.frames[at - 1]
            if not SCAFFOLD.match(name + where):
                self.frames = self.frames[:at]
                self.outermost = name + where
                return

    def name(self):
        """What it runs."""
        if self.handle is None and self.outermost:
            return self.outermost
        if self.state() == "not begun" and self.function == "??":
            return name_of(self.record[0])
        return self.function


def describe(frame):
    sal = frame.find_sal()
    where = " at %s:%d" % (sal.symtab.filename, sal.line) if sal.symtab else ""
    name = re.sub("::h[0-9a-f]{16}$", "", frame.name() or "??")
    return (name, int(frame.read_register("sp")), where)


class Detour(gdb.unwinder.Unwinder):
    """Makes the frame of a record the caller of the innermost frame."""

    def __init__(self):
        super().__init__("siding")
        self.record = None
        self.innermost = None

    def __call__(self, pending):
        if self.record is None:
            return None
        pc, sp = pending.read_register("pc"), pending.read_register("sp")
        if (int(pc), int(sp)) != self.innermost:
            return None
        # At the job's own stack pointer, since gdb stops where a caller's frame lies lower.
        below = gdb.Value(self.record[3]).cast(sp.type)
        info = pending.create_unwind_info(FrameId(below, pc))
        for name, value in zip(registers(), self.record):
            # A caller's pc is looked up one lower: in the jump of the switch, not here.
            value += 1 if name in ("rip", "eip", "pc") else 0
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info

    def frames(self, job):
        """The frames of a paused job, innermost first."""
        newest = gdb.newest_frame()
        self.innermost = (int(newest.read_register("pc")), int(newest.read_register("sp")))
        self.record = job.record
        gdb.invalidate_cached_frames()
        try:
            frame, found = gdb.newest_frame(), []
            # What was inlined into the innermost function has frames of its own.
            while frame is not None and int(frame.read_register("sp")) == self.innermost[1]:
                frame = frame.older()
            while frame is not None and job.contains(int(frame.read_register("sp"))):
                found.append(describe(frame))
                frame = frame.older()
            return found
        except gdb.error:
            return found
        finally:
            self.record = None
            gdb.invalidate_cached_frames()


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


DETOUR = Detour()
gdb.unwinder.register_unwinder(None, DETOUR, replace=True)


def control_block(slab, index, trampoline):
    """The control block of a stack and what it holds, or None."""
    top = slab.top(index)
    memory = read(top - LARGEST_SIZE, LARGEST_SIZE)
    for size in range(2 * LINE, LARGEST_SIZE + 1, LINE):
        block = memory[LARGEST_SIZE - size :]
        entered, bottom = WORDS.unpack("2P", block, TRAMPOLINE)
        if entered == trampoline and slab.start <= bottom < top - size:
            return top - size, top, block
    return None


class Found:
    """All jobs of the program, and why some may be missing."""

    def __init__(self):
        global WORDS
        WORDS = Words()
        self.jobs, self.stacks = [], 0
        trampoline = address_of("siding_%s_trampoline" % VERSION)
        known = handles()
        for slab in slabs():
            for index in range(slab.count):
                self.stacks += 1
                try:
                    found = control_block(slab, index, trampoline)
                except gdb.MemoryError:
                    continue
                if found is not None:
                    self.jobs.append(Job(*found, known.pop(found[0], None)))
        self.add_foreign(known)
        self.find_running()

    def add_foreign(self, known):
        """Jobs of C's on memory that is not siding's."""
        for control, handle in known.items():
            try:
                self.jobs.append(Job(control, 0, read(control, 256), handle))
            except gdb.MemoryError:
                pass

    def find_running(self):
        """A job runs if a frame of a thread lies on its stack."""
        selected = gdb.selected_thread()
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            self.look_at(thread)
        if selected is not None:
            selected.switch()

    def look_at(self, thread):
        frame = gdb.newest_frame()
        while frame is not None:
            sp = int(frame.read_register("sp"))
            for job in self.jobs:
                if job.contains(sp):
                    job.thread = thread.num
                    job.frames.append(describe(frame))
            try:
                frame = frame.older()
            except gdb.error:
                break

    def show(self, jobs, backtraces):
        row = "%-18s %-9s %-9s %6s %16s  %s"
        print(row % ("control block", "kind", "state", "thread", "stack used", "function"))
        for job in jobs:
            if job.state() in ("paused", "orphaned"):
                job.frames = DETOUR.frames(job)
            job.cut()
            used = "%d of %d" % (job.used(), job.control - job.bottom)
            thread = job.thread or "-"
            print(row % (hex(job.control), job.kind, job.state(), thread, used, job.name()))
            if backtraces:
                for number, (name, _, where) in enumerate(job.frames):
                    print("    #%-2d %s%s" % (number, name, where))

    def summary(self):
        states = [job.state() for job in self.jobs]
        counts = ["%d %s" % (states.count(state), state) for state in sorted(set(states))]
        print("%d in all: %s" % (len(states), ", ".join(counts) or "none"))
        if self.stacks and not self.jobs:
            print("%d stacks, none with memory. In a core dump? See" % self.stacks, end=" ")
            print("SIDING_CORE_DUMP in 'help siding'")


class Siding(gdb.Command):
    __doc__ = __doc__

    def __init__(self):
        super().__init__("siding", gdb.COMMAND_STACK, prefix=False)

    def invoke(self, argument, from_tty):
        words = argument.split() or ["jobs"]
        if words[0] not in ("jobs", "bt") or len(words) > 2:
            raise gdb.GdbError("siding jobs [all] | siding bt [all | <address>]")
        found = Found()
        jobs = [job for job in found.jobs if job.state() != "free"]
        if len(words) == 1:
            jobs = jobs[:100]
        elif words[1] != "all":
            wanted = int(gdb.parse_and_eval(words[1]))
            jobs = [job for job in found.jobs if job.control == wanted]
        found.show(jobs, words[0] == "bt")
        found.summary()


Siding()
