"""Run by gdb for ci/header.sh: compares C's view of each function with Rust's."""

import os
import gdb

# Written in assembly: the compiler notes no types for them.
NAKED = {"ASYNC_init_thread", "ASYNC_cleanup_thread"}


def shape(kind, pointed_at=False):
    """What the ABI knows of a type, as a string."""
    kind = kind.strip_typedefs().unqualified()
    name = kind.tag or str(kind)
    if kind.code == gdb.TYPE_CODE_VOID or name in ("()", "core::ffi::c_void"):
        return "void"
    if kind.code == gdb.TYPE_CODE_PTR:
        return "*" + shape(kind.target(), True)
    if kind.code == gdb.TYPE_CODE_FUNC:
        parameters = [shape(field.type) for field in kind.fields()]
        if pointed_at:
            # Callbacks are called by code that knows handles as mere addresses.
            parameters = ["*void" if one[0] == "*" else one for one in parameters]
        return f"fn({', '.join(parameters)}) -> {returned(kind)}"
    if kind.code == gdb.TYPE_CODE_INT:
        return ("i" if kind.is_signed else "u") + str(8 * kind.sizeof)
    if name.startswith("core::option::Option<"):
        # Around a function: a pointer that may be NULL.
        some = next(field.type for field in kind.fields() if field.name == "Some")
        return shape(some.fields()[0].type)
    if kind.code == gdb.TYPE_CODE_STRUCT:
        # Handles are never followed: C has no fields, Rust has none with a size.
        fields = [field for field in kind.fields() if field.type.sizeof]
        if not fields:
            return name.split("::")[-1].removesuffix("_st").replace("_", "").lower()
        layout = [f"{field.name}@{field.bitpos // 8}: {shape(field.type)}" for field in fields]
        return f"{{{', '.join(layout)}; {kind.sizeof} bytes}}"
    return name


def returned(function):
    try:
        return shape(function.target())
    except RuntimeError:
        return "void"  # what gdb makes of a Rust function that returns nothing


def shapes(file, names):
    gdb.execute(f"file {file}")
    kinds = [gdb.parse_and_eval(name).type.strip_typedefs() for name in names]
    return [shape(kind.target() if kind.code == gdb.TYPE_CODE_PTR else kind) for kind in kinds]


def main():
    names = [name for name in open(os.environ["DECLARED"]).read().split() if name not in NAKED]
    declared = shapes(os.environ["OBJECT"], [f"header_{name}" for name in names])
    defined = shapes(os.environ["LIBRARY"], names)
    differ = [which for which in zip(names, declared, defined) if which[1] != which[2]]
    for name, in_header, in_library in differ:
        print(f"{name}\n  declared {in_header}\n  defined  {in_library}")
    print(f"{len(names)} functions compared, {len(differ)} differ")
    gdb.execute(f"quit {1 if differ else 0}")


try:
    main()
except (gdb.error, RuntimeError) as error:
    print(error)
    gdb.execute("quit 1")
