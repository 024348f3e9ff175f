"""Prints what is public, one line an item, from rustdoc's JSON: ci/package.sh compares it with
api.txt. Bounds of generics are left out; what a line says is enough to notice a change."""

import json
import sys

crate = json.load(open(sys.argv[1], encoding="utf-8"))
index = {int(key): item for key, item in crate["index"].items()}


def args(value):
    if not value or "angle_bracketed" not in value:
        return ""
    shown = [ty(arg["type"]) for arg in value["angle_bracketed"]["args"] if "type" in arg]
    shown += [
        "%s = %s" % (item["name"], ty(item["binding"]["equality"]["type"]))
        for item in value["angle_bracketed"].get("constraints", [])
        if "equality" in item["binding"]
    ]
    return "<%s>" % ", ".join(shown) if shown else ""


def bounds(items):
    shown = []
    for item in items:
        if "trait_bound" in item:
            trait = item["trait_bound"]["trait"]
            call = (trait.get("args") or {}).get("parenthesized")
            shown.append(trait["path"] + (signature(call["inputs"], call["output"]) if call else args(trait.get("args"))))
    return " + ".join(shown)


def signature(inputs, output):
    return "(%s)" % ", ".join(map(ty, inputs)) + (" -> " + ty(output) if output else "")


def ty(value):
    if value is None:
        return "()"
    (kind, inner), = value.items() if isinstance(value, dict) else ((value, None),)
    if kind in ("generic", "primitive"):
        return inner
    if kind == "resolved_path":
        return inner["path"].split("::")[-1] + args(inner["args"])
    if kind == "tuple":
        return "(%s)" % ", ".join(map(ty, inner))
    if kind == "slice":
        return "[%s]" % ty(inner)
    if kind == "array":
        return "[%s; %s]" % (ty(inner["type"]), inner["len"])
    if kind == "borrowed_ref":
        return "&" + ("mut " if inner["is_mutable"] else "") + ty(inner["type"])
    if kind == "raw_pointer":
        return ("*mut " if inner["is_mutable"] else "*const ") + ty(inner["type"])
    if kind == "impl_trait":
        return "impl " + bounds(inner)
    if kind == "dyn_trait":
        return "dyn " + " + ".join(poly["trait"]["path"] + args(poly["trait"].get("args")) for poly in inner["traits"])
    if kind == "qualified_path":
        return "%s::%s" % (ty(inner["self_type"]), inner["name"])
    if kind == "function_pointer":
        return "fn" + signature([arg[1] for arg in inner["sig"]["inputs"]], inner["sig"]["output"])
    return kind


def function(path, inner):
    header = inner["header"]
    words = [word for word in ("const", "unsafe", "async") if header["is_" + word]]
    sig = inner["sig"]
    return " ".join(words + ["fn "]).strip() + " " + path + signature([arg[1] for arg in sig["inputs"]], sig["output"])


def impls(path, ids):
    for item in map(index.get, ids):
        inner = item["inner"]["impl"] if item else None
        if inner is None or inner["is_synthetic"] or inner["blanket_impl"]:
            continue
        if inner["trait"]:
            yield "impl %s%s for %s" % (inner["trait"]["path"].split("::")[-1], args(inner["trait"]["args"]), path)
        else:
            for member in map(index.get, inner["items"]):
                if member and member["visibility"] == "public":
                    yield from walk(path + "::" + member["name"], member)


def walk(path, item):
    (kind, inner), = item["inner"].items()
    non_exhaustive = any("on_exhaustive" in json.dumps(attr) for attr in item["attrs"])
    mark = " (non-exhaustive)" if non_exhaustive else ""
    if kind == "module":
        if path.endswith("::guide"):
            return
        for child in map(index.get, inner["items"]):
            if child and (child["visibility"] == "public" or "impl" in child["inner"]):
                yield from walk(path + "::" + (child["name"] or ""), child)
    elif kind == "use":
        target = index.get(inner["id"])
        if target:
            yield from walk(path.rsplit("::", 1)[0] + "::" + inner["name"], target)
        else:
            yield "use %s as %s" % (inner["source"], path)
    elif kind == "function":
        yield function(path, inner)
    elif kind == "struct":
        yield "struct " + path + mark
        fields = inner["kind"].get("plain", {}).get("fields", []) if isinstance(inner["kind"], dict) else []
        for field in map(index.get, fields):
            if field and field["visibility"] == "public":
                yield "field %s::%s: %s" % (path, field["name"], ty(field["inner"]["struct_field"]))
        yield from impls(path, inner["impls"])
    elif kind == "enum":
        yield "enum " + path + mark
        for variant in map(index.get, inner["variants"]):
            yield "variant %s::%s" % (path, variant["name"])
        yield from impls(path, inner["impls"])
    elif kind == "trait":
        yield ("unsafe " if inner["is_unsafe"] else "") + "trait " + path
        for member in map(index.get, inner["items"]):
            yield from walk(path + "::" + member["name"], member)
    elif kind == "assoc_const":
        yield "const %s: %s" % (path, ty(inner["type"]))
    elif kind == "constant":
        yield "const %s: %s" % (path, ty(inner["type"]))
    elif kind == "type_alias":
        yield "type %s = %s" % (path, ty(inner["type"]))
    elif kind == "assoc_type":
        yield "type " + path
    elif kind != "impl":
        yield "%s %s" % (kind, path)


print(*sorted(set(walk("siding", index[crate["root"]]))), sep="\n")
