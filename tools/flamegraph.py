#!/usr/bin/env python3
"""Draws what `perf script` prints as a flame graph.

    perf script -i perf.data | tools/flamegraph.py > flames.svg

The width of a box is the share of samples that had this function there on the stack.
"""

import re
import sys
from html import escape

WIDTH, ROW, LEAST = 1200, 16, 1.5  # pixels; narrower boxes are left out
COLOURS = ["#e8743b", "#eb8a44", "#ee9f50", "#f1b35f", "#e56a4a", "#f0a94f"]
OURS = "#5b8dc9"  # siding's own functions


def stacks(lines):
    """The stacks in the output of `perf script`, outermost function first."""
    stack = []
    for line in lines:
        frame = re.match(r"\s+[0-9a-f]+ (.*?)(\+0x[0-9a-f]+)? \(", line)
        if frame:
            stack.append(frame[1])
        elif stack:
            yield stack[::-1]
            stack = []
    if stack:
        yield stack[::-1]


def tree(all_stacks):
    root = {"count": 0, "inside": {}}
    for stack in all_stacks:
        node = root
        node["count"] += 1
        for name in stack:
            node = node["inside"].setdefault(name, {"count": 0, "inside": {}})
            node["count"] += 1
    return root


def depth(node, least):
    drawn = [inner for inner in node["inside"].values() if inner["count"] >= least]
    return 1 + max((depth(inner, least) for inner in drawn), default=0)


def box(name, share, x, y, width):
    ours = name.startswith(("siding", "<siding"))
    colour = OURS if ours else COLOURS[sum(map(ord, name)) % len(COLOURS)]
    text = name if len(name) * 7 < width else name[: max(0, int(width / 7) - 2)] + ".."
    return (
        f'<g><title>{escape(name)}: {share:.1%}</title>'
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" fill="{colour}"/>'
        + (f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text>' if width > 30 else "")
        + "</g>"
    )


def boxes(node, total, x, y):
    for name, inner in sorted(node["inside"].items()):
        width = WIDTH * inner["count"] / total
        if width >= LEAST:
            yield box(name, inner["count"] / total, x, y, width)
            yield from boxes(inner, total, x, y - ROW)
        x += width


def main():
    root = tree(stacks(sys.stdin))
    if not root["count"]:
        sys.exit("no stacks: is this the output of `perf script` with call graphs?")
    height = (depth(root, root["count"] * LEAST / WIDTH) - 1) * ROW
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"')
    print(' font-family="monospace" font-size="11">')
    print(*boxes(root, root["count"], 0, height - ROW), "</svg>", sep="\n")


main()
