"""Where things stand in the picture of a failed linearizability check: bars by process, and the line of each order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import RecordedOp
from seatrial.judge.modelling import LinearPicture, Prefix
from seatrial.judge.recorded_checks.words import show, told
from seatrial.report.text import clip_line

LEFT, ROW, BAR, STEP, LETTER = 92.0, 40.0, 26.0, 12.0, 6.9
_MOST_OPS, _MOST_PREFIXES, _LABEL = 160, 8, 34


@dataclass(frozen=True, slots=True, kw_only=True)
class OpBar:
    """An op as a bar. style: ok, open, fail, stuck. detail: all of it in plain words."""

    index: int
    x: float
    y: float
    width: float
    label: str
    style: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One longest linearization: its line, a numbered dot an op, and the state after each op."""

    path: str
    dots: list[tuple[float, float, int]]
    steps: list[tuple[str, str]]
    stop: float
    why: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDrawing:
    """The whole picture. rows: (y, process). left_out: ops of the partition that are not drawn."""

    width: float
    height: float
    rows: list[tuple[float, str]]
    bars: list[OpBar]
    attempts: list[Attempt]
    left_out: int


def op_label(op: RecordedOp) -> str:
    """Return what an op says inside of its bar: "write 3", "read → 4", "cas 1 2"."""
    asked = "" if op.arg is None else f" {show(op.arg, _LABEL)}"
    if op.outcome == OpOutcome.OK and op.value != op.arg:
        asked = f"{asked} → {show(op.value, _LABEL)}" if op.f in ("cas", "txn") else f" → {show(op.value, _LABEL)}"
    elif op.outcome == OpOutcome.OK and op.value is None and op.f in ("read", "get"):
        asked = " → nil"
    return clip_line(f"{op.f}{asked}", _LABEL)


def shown_ops(picture: LinearPicture, most: int = _MOST_OPS) -> list[RecordedOp]:
    """Return the ops to draw, by start: all, or those nearest to where it stopped."""
    ops = sorted(picture.ops, key=lambda op: op.start)
    if len(ops) <= most:
        return ops
    stuck = next((i for i, op in enumerate(ops) if op.index == picture.stuck_at), len(ops) - 1)
    begin = max(0, min(stuck - most * 3 // 4, len(ops) - most))
    return ops[begin : begin + most]


def lay_out(picture: LinearPicture) -> LinearDrawing:
    """Return where everything stands."""
    ops = shown_ops(picture)
    xs = _places(ops)
    right = max(xs.values(), default=LEFT) + 46
    rows = {p: 14 + i * ROW for i, p in enumerate(dict.fromkeys(op.process for op in ops))}
    bars = [_bar(op, xs, rows[op.process], right, picture.stuck_at) for op in ops]
    at = {bar.index: bar for bar in bars}
    return LinearDrawing(
        width=right + 10,
        height=14 + len(rows) * ROW + 6,
        rows=[(y, f"process {clip_line(show(p), 8)}") for p, y in rows.items()],
        bars=bars,
        attempts=[_attempt(p, picture, at) for p in picture.prefixes[:_MOST_PREFIXES]],
        left_out=len(picture.ops) - len(ops),
    )


def _places(ops: Sequence[RecordedOp]) -> dict[int, float]:
    """Return the x of every position: in order, and far enough apart that each bar holds its label."""
    ending = {op.end: op for op in ops if op.end is not None}
    xs: dict[int, float] = {}
    x = LEFT
    for position in sorted({op.start for op in ops} | set(ending)):
        x += STEP
        op = ending.get(position)
        if op is not None:
            x = max(x, xs[op.start] + len(op_label(op)) * LETTER + 20)
        xs[position] = round(x, 1)
    return xs


def _bar(op: RecordedOp, xs: dict[int, float], y: float, right: float, stuck: int | None) -> OpBar:
    begin = xs[op.start]
    end = right if op.end is None else xs[op.end]
    style = {OpOutcome.OK: "ok", OpOutcome.FAIL: "fail"}.get(op.outcome, "open")
    return OpBar(
        index=op.index,
        x=begin,
        y=y,
        width=round(max(end - begin, 6), 1),
        label=op_label(op),
        style="stuck" if op.index == stuck else style,
        detail=told(op),
    )


def _attempt(prefix: Prefix, picture: LinearPicture, at: dict[int, OpBar]) -> Attempt:
    """Place each op of the order at the earliest moment that its bar and the order allow."""
    dots: list[tuple[float, float, int]] = []
    x = 0.0
    for number, index in enumerate(prefix.order, 1):
        bar = at.get(index)
        if bar is None:
            continue
        x = max(x, min(max(bar.x + 6, x + 4), bar.x + bar.width - 3))
        dots.append((round(x, 1), round(bar.y + BAR, 1), number))  # on the rim, where it hides no label
    path = "M" + "L".join(f"{x} {y}" for x, y, _ in dots) if dots else ""
    labels = {op.index: op_label(op) for op in picture.ops}
    states = list(prefix.states) + [""] * (len(prefix.order) - len(prefix.states))
    steps = [(f"op {i}: {labels.get(i, '')}", clip_line(s, 60)) for i, s in zip(prefix.order, states, strict=False)]
    return Attempt(
        path=path,
        dots=dots,
        steps=steps[-40:],
        stop=round(x + 6, 1),
        why=_why(prefix, labels),
        length=len(prefix.order),
    )


def _why(prefix: Prefix, labels: dict[int, str]) -> str:
    if prefix.next_op is None:
        return prefix.why
    told_op = f"op {prefix.next_op} ({labels.get(prefix.next_op, '')})"
    return f"{told_op} cannot come next: {prefix.why}" if prefix.why else f"{told_op} cannot come next"
