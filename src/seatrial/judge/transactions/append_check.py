"""List-append: transactions that append to lists and read whole lists, held against an isolation level."""

from __future__ import annotations

from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.modelling import CyclePicture, Options
from seatrial.judge.transactions.anomalies import Judged, finding, pictures_of
from seatrial.judge.transactions.append_faults import add_faults
from seatrial.judge.transactions.append_graph import Orders, graph_of, orders_of
from seatrial.judge.transactions.append_words import cycle_anomaly
from seatrial.judge.transactions.columns import APPEND, COMMITTED, READ, Appends, appends_of
from seatrial.judge.transactions.cycles import classes_wanted, find
from seatrial.judge.transactions.graph import cyclic_parts, none
from seatrial.judge.transactions.levels import REALTIME, Level, level_for
from seatrial.judge.transactions.lists import as_registers, open_keys
from seatrial.judge.transactions.register_check import judge as judge_registers
from seatrial.judge.transactions.selftesting import appends_selftest
from seatrial.verdict import Finding

BY_REGISTERS = ("read-atomic", "causal", "parallel-snapshot-isolation", "snapshot-isolation")
EXACT_MOST = 50_000  # transactions; above, the order of appends that no read saw is not searched for


def check(recorded: Recorded, options: Options) -> Finding:
    """Judge list-append transactions against options.level (strict-serializable when none is named).

    Version orders are those of the longest reads. extra: partial (True: elements that no op of the recording appended
    are no anomaly, only unknown). Raises UsageError for a level that does not exist.
    """
    level, note = level_for(options.level, recorded.realtime)
    a = appends_of(recorded)
    judged = judge(a, level, options)
    return finding("list-append", judged, level, examined=_examined(a), vacuous=_vacuous(a), note=note)


def explain(recorded: Recorded, options: Options) -> list[CyclePicture]:
    """Return the cycles that were found, as values to draw."""
    level, _ = level_for(options.level, recorded.realtime)
    a = appends_of(recorded)
    return pictures_of(judge(a, level, options), recorded.ops)


def judge(a: Appends, level: Level, options: Options) -> Judged:
    """Return all anomalies that the level forbids, with their evidence."""
    judged, extra = Judged(), options.extra or {}
    if a.strange:
        judged.doubts.append(f"{a.strange:,} reads or writes are none of list-append and were left out")
    if not a.many or not len(a.kind):
        return judged
    made = orders_of(a)
    add_faults(a, made, judged, bool(extra.get("partial")))
    _add_cycles(a, made, level, options, judged)
    if level.base in BY_REGISTERS and a.ops and not judged.against(level):
        _by_registers(a, made, level, options, judged)
    judged.figures |= {"transactions": float(a.many), "keys": float(len(made.best))}
    return judged


def _add_cycles(a: Appends, made: Orders, level: Level, options: Options, judged: Judged) -> None:
    graph = graph_of(a, made, level.order)
    judged.figures["dependencies"] = float(len(graph.edges))
    if level.base not in BY_REGISTERS:
        made.edges = none()  # the graph has them; for large histories this matters
    parts = cyclic_parts(graph)
    if not parts:
        return
    judged.figures["cyclic components"] = float(len(parts))
    cycles, doubts = find(parts, classes_wanted(level.forbids), options.expired)
    for cycle in cycles:
        judged.add(cycle_anomaly(a, made, cycle))
    judged.doubts += doubts


def _by_registers(a: Appends, made: Orders, level: Level, options: Options, judged: Judged) -> None:
    """What the cycles do not show: fractured and acausal reads; orders of appends that no read saw."""
    if level.base == "snapshot-isolation":
        open_orders = open_keys(a, made)
        judged.figures["keys with unseen appends in an open order"] = float(open_orders)
        if not open_orders or a.many > EXACT_MOST:
            return
    realtime = level.order >= REALTIME
    judge_registers(as_registers(a, made, realtime), level, options, judged)


def _examined(a: Appends) -> int:
    return int((a.status == COMMITTED).sum())


def _vacuous(a: Appends) -> str:
    read = (a.kind == READ) & (a.size >= 0)
    if not read.any():
        return "no transaction that committed read anything, so nothing shows what the others did"
    if not (a.kind == APPEND).any() and not (a.size[read] > 0).any():
        return "no transaction appended anything, so the reads had nothing to show"
    return ""


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definitions on n random histories, and mutate histories that are known to be good."""
    return appends_selftest(check, n, seed)
