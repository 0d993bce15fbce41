"""The pictures of failed checks as text for a terminal."""

from __future__ import annotations

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import RecordedOp
from seatrial.judge.modelling import CyclePicture, LinearPicture, Picture
from seatrial.judge.recorded_checks.words import show, told
from seatrial.report.picture_cycle import edge_words
from seatrial.report.picture_linear import op_label, shown_ops
from seatrial.report.text import clip_line, one_line

_ROWS, _STEPS = 24, 12


def terminal(picture: Picture, width: int = 100) -> str:
    """Return the picture as lines of at most about `width` characters."""
    lines = _linear(picture, width) if isinstance(picture, LinearPicture) else _cycle(picture)
    return "\n".join(one_line_kept(line, width) for line in lines)


def one_line_kept(line: str, width: int) -> str:
    """Return a safe line that keeps its leading blanks."""
    blanks = len(line) - len(line.lstrip())
    safe = one_line(line) if "│" not in line else line
    return f"{' ' * blanks}{clip_line(safe, width - blanks)}" if "│" not in line else safe[:width]


def _linear(picture: LinearPicture, width: int) -> list[str]:
    where = f"key {picture.partition}" if picture.partition else "the only object"
    lines = [f"{picture.model}, {where}: no order of these ops explains all answers"]
    ops = shown_ops(picture, _ROWS)
    room = max(20, width - 56)
    positions = sorted({op.start for op in ops} | {op.end for op in ops if op.end is not None})
    place = {p: round(i * (room - 1) / max(1, len(positions) - 1)) for i, p in enumerate(positions)}
    for op in ops:
        mark = "✘" if op.index == picture.stuck_at else " "
        who = f"{mark} op {op.index:<5} process {clip_line(show(op.process), 8):<8}"
        lines.append(f"{who} │{_bar(op, place, room)}│ {clip_line(op_label(op), 30)}")
    if len(picture.ops) > len(ops):
        lines.append(f"  {len(picture.ops) - len(ops)} more ops are not shown")
    for number, prefix in enumerate(picture.prefixes[:3], 1):
        lines.append(f"longest order {number} of {len(picture.prefixes)}: {len(prefix.order)} ops, ending with")
        states = list(prefix.states) + [""] * (len(prefix.order) - len(prefix.states))
        labels = {op.index: op_label(op) for op in picture.ops}
        for index, state in list(zip(prefix.order, states, strict=False))[-_STEPS:]:
            then = f" ⇒ {clip_line(state, 40)}" if state else ""
            lines.append(f"    op {index} {labels.get(index, '')}{then}")
        if prefix.next_op is not None:
            lines.append(
                f"  ✘ op {prefix.next_op} {labels.get(prefix.next_op, '')}: {prefix.why or 'cannot come next'}"
            )
    return lines


def _bar(op: RecordedOp, place: dict[int, int], room: int) -> str:
    begin = place[op.start]
    end = room - 1 if op.end is None else max(place[op.end], begin + 1)
    inner = ("·" if op.outcome == OpOutcome.FAIL else "─") * max(0, end - begin - 1)
    bar = f"{' ' * begin}├{inner}{'┄' if op.end is None else '┤'}"
    return f"{bar:<{room}}"[:room]


def _cycle(picture: CyclePicture) -> list[str]:
    lines = [f"{picture.anomaly}: a cycle of {len(picture.edges)} dependencies among {len(picture.ops)} ops"]
    by_index = {op.index: op for op in picture.ops}
    for edge in picture.edges:
        if edge.source in by_index:
            lines.append(f"  {told(by_index[edge.source])}")
        lines.append(f"    ↓ {edge.kind}: {edge_words(edge)}")
    if picture.edges:
        lines.append(f"  op {picture.edges[-1].target} again, so each of them would have to come before itself")
    if picture.rules_out:
        lines.append(f"rules out: {', '.join(picture.rules_out)}")
    return lines
