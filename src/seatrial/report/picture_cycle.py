"""Where things stand in the picture of a cycle of transactions: boxes on a ring, labelled arrows between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seatrial.history.recorded import RecordedOp
from seatrial.judge.modelling import CyclePicture, Edge
from seatrial.judge.recorded_checks.words import show, told
from seatrial.report.text import clip_line

WIDE, BOX, LINE = 960.0, 216.0, 17.0
_MOST_NODES, _MOST_MOPS, _LETTERS = 14, 4, 30
KINDS = {
    "ww": "overwrote",
    "wr": "was read by",
    "rw": "did not see",
    "rt": "was over before",
    "process": "came before, in its process,",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A transaction as a box; x and y are its middle."""

    index: int
    x: float
    y: float
    height: float
    title: str
    lines: list[str]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A dependency: a path from box to box, its kind and where that is written."""

    path: str
    kind: str
    x: float
    y: float
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleDrawing:
    """The whole picture. left_out: edges of a cycle that is too long to draw whole."""

    width: float
    height: float
    nodes: list[Node]
    arrows: list[Arrow]
    left_out: int


def edge_words(edge: Edge) -> str:
    """Return an edge in plain words."""
    if edge.why:
        return edge.why
    words = KINDS.get(edge.kind, edge.kind)
    if edge.kind == "ww":
        return f"op {edge.target} {words} what op {edge.source} wrote"
    if edge.kind == "rw":
        return f"op {edge.source} {words} what op {edge.target} wrote"
    return f"op {edge.source} {words} op {edge.target}"


def lay_out(picture: CyclePicture) -> CycleDrawing:
    """Return where everything stands."""
    by_index = {op.index: op for op in picture.ops}
    edges = picture.edges[:_MOST_NODES]
    order = [i for i in dict.fromkeys(i for e in edges for i in (e.source, e.target)) if i in by_index]
    radius = max(120.0, 34.0 * len(order))
    high = radius * 2 + 130 if len(order) > 2 else 210.0
    nodes = {i: _node(by_index[i], *_place(at, len(order), radius, high)) for at, i in enumerate(order)}
    arrows = [_arrow(nodes[e.source], nodes[e.target], e) for e in edges if e.source in nodes and e.target in nodes]
    return CycleDrawing(
        width=WIDE, height=high, nodes=list(nodes.values()), arrows=arrows, left_out=len(picture.edges) - len(edges)
    )


def _place(at: int, count: int, radius: float, high: float) -> tuple[float, float]:
    if count <= 2:
        return (WIDE / 2 if count == 1 else 170 + at * (WIDE - 340)), high / 2
    angle = -math.pi / 2 + 2 * math.pi * at / count
    return WIDE / 2 + math.cos(angle) * min(WIDE / 2 - 125, radius * 1.9), high / 2 + math.sin(angle) * radius


def _node(op: RecordedOp, x: float, y: float) -> Node:
    mops = op.value if isinstance(op.value, (list, tuple)) else [op.value]
    lines = [clip_line(_mop(m), _LETTERS) for m in mops[:_MOST_MOPS]]
    if len(mops) > _MOST_MOPS:
        lines.append(f"… {len(mops) - _MOST_MOPS} more")
    title = f"op {op.index} · process {clip_line(show(op.process), 10)}"
    height = 30 + LINE * len(lines)
    return Node(index=op.index, x=round(x, 1), y=round(y, 1), height=height, title=title, lines=lines, detail=told(op))


def _mop(mop: object) -> str:
    if isinstance(mop, (list, tuple)) and len(mop) == 3:
        kind, key, value = mop
        words = {"r": "read", "w": "write", "append": "append"}.get(str(kind), str(kind))
        return (
            f"{words} {show(key, 12)} → {show(value)}" if kind == "r" else f"{words} {show(value)} to {show(key, 12)}"
        )
    return show(mop)


def _arrow(a: Node, b: Node, edge: Edge) -> Arrow:
    """Bend every arrow to its left, so that an arrow there and one back stay apart."""
    dx, dy = b.x - a.x, b.y - a.y
    length = math.hypot(dx, dy) or 1.0
    bend = 46.0
    middle = ((a.x + b.x) / 2 + dy / length * bend, (a.y + b.y) / 2 - dx / length * bend)
    begin, end = _rim(a, middle), _rim(b, middle)
    label = (begin[0] + 2 * middle[0] + end[0]) / 4, (begin[1] + 2 * middle[1] + end[1]) / 4
    path = f"M{begin[0]:.1f} {begin[1]:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    return Arrow(path=path, kind=edge.kind, x=round(label[0], 1), y=round(label[1], 1), detail=edge_words(edge))


def _rim(node: Node, towards: tuple[float, float]) -> tuple[float, float]:
    """Return where the line from a box's middle to a point leaves the box, with a little air."""
    dx, dy = towards[0] - node.x, towards[1] - node.y
    half_w, half_h = BOX / 2 + 5, node.height / 2 + 5
    scale = min(half_w / abs(dx) if dx else math.inf, half_h / abs(dy) if dy else math.inf)
    scale = 0.0 if math.isinf(scale) else min(scale, 1.0)
    return node.x + dx * scale, node.y + dy * scale
