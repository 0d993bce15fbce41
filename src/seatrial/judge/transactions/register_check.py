"""Read-write registers: transactions of single reads and writes, held against an isolation level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.modelling import CyclePicture, Edge, Options
from seatrial.judge.transactions.anomalies import KINDS, Anomaly, Judged, finding, pictures_of
from seatrial.judge.transactions.append_kernels import GLUE, PROCESS, RW, WR, WW
from seatrial.judge.transactions.columns import show
from seatrial.judge.transactions.levels import LEVELS, Level, level_for, stronger_than
from seatrial.judge.transactions.polygraph import Polygraph, polygraph_of
from seatrial.judge.transactions.registers import Registers, registers_of
from seatrial.judge.transactions.selftesting import registers_selftest
from seatrial.judge.transactions.solving import Answer, Steps, solve
from seatrial.judge.transactions.weak import causal_order, judge_weak
from seatrial.verdict import Finding

WEAK = ("read-committed", "read-atomic", "causal")
SERIAL = ("serializable", "repeatable-read")  # without reads of predicates these are the same


def check(recorded: Recorded, options: Options) -> Finding:
    """Judge transactions of reads and writes against options.level (strict-serializable when none is named).

    Every value should be written once a key. extra: whole (see registers_of). Raises UsageError for an unknown level.
    """
    level, note = level_for(options.level, recorded.realtime)
    judged = Judged()
    r = registers_of(recorded, options, judged)
    judge(r, level, options, judged)
    return finding(
        "rw-register", judged, level, examined=r.examined, vacuous="" if judged.kept else _vacuous(r), note=note
    )


def explain(recorded: Recorded, options: Options) -> list[CyclePicture]:
    """Return the cycles that were found, as values to draw."""
    level, _ = level_for(options.level, recorded.realtime)
    judged = Judged()
    judge(registers_of(recorded, options, judged), level, options, judged)
    return pictures_of(judged, recorded.ops)


def _vacuous(r: Registers) -> str:
    if not r.reads_known:
        return "no read of a transaction that committed could be told, so nothing shows what the others did"
    if not any(r.writes):
        return "no transaction wrote anything, so the reads had nothing to show"
    return ""


def judge(r: Registers, level: Level, options: Options, judged: Judged) -> None:
    """Add the anomalies that the level forbids, beyond those that single reads show."""
    judged.figures |= {"transactions": float(r.many), "sessions": float(len(r.sessions))}
    if judged.against(level) or level.base == "read-uncommitted":
        return
    if level.base in WEAK:
        for anomaly in judge_weak(r, level):
            judged.add(anomaly)
    elif level.base == "snapshot-isolation" or level.base in SERIAL:
        _strong(r, level, options, judged)
    else:
        _between(r, level, options, judged)


def _strong(r: Registers, level: Level, options: Options, judged: Judged) -> None:
    apart = level.base == "snapshot-isolation"
    for anomaly in _changed_reads(r):
        judged.add(anomaly)
    if judged.against(level):
        return
    g = polygraph_of(r, level, apart)
    for first, second, version, key in g.lost[:3]:
        judged.add(_lost(r, first, second, version, key, level))
    if g.lost:
        return
    answer = solve(g, ranks(r), options.memory_bytes, options.expired)
    judged.figures["choices tried"] = float(answer.tries)
    if answer.gave_up:
        judged.doubts.append(answer.gave_up)
    elif not answer.possible:
        judged.add(_impossible(g, answer, level))


def _changed_reads(r: Registers) -> Iterator[Anomaly]:
    for txn, reads in enumerate(r.reads):
        first: dict[Any, int] = {}
        for key, writer in reads:
            if first.setdefault(key, writer) != writer:
                op, name = r.op(txn), show(key)
                what = f"op {op} read {name} from {r.named(first[key])} and then from {r.named(writer)}"
                yield Anomaly(name="non-repeatable-read", what=what, ops=(op,), key=name)


def ranks(r: Registers) -> list[float]:
    """Return when each transaction probably ran: by time, else by how far its session had come."""
    if r.realtime:
        return [float(op.start) for op in r.ops]
    rank = [0.0] * r.many
    for session in r.sessions:
        for at, txn in enumerate(session):
            rank[txn] = (at + 1) / len(session)
    return rank


def _lost(r: Registers, first: int, second: int, version: int, key: Any, level: Level) -> Anomaly:
    a, b = r.op(first), r.op(second)
    what = f"ops {a} and {b} both read {show(key)} from {r.named(version)}, and both overwrote it"
    edges = tuple(
        Edge(source=s, target=t, kind="rw", why=f"op {s} read {show(key)} before op {t} overwrote it")
        for s, t in ((a, b), (b, a))
    )
    return Anomaly(name="lost-update", what=what, ops=(a, b), key=show(key), edges=edges)


def _impossible(g: Polygraph, answer: Answer, level: Level) -> Anomaly:
    ruled_out = stronger_than(level)
    name = "no-snapshot-order" if g.apart else "no-serial-order"
    if not answer.cycle:
        what = f"no order of the transactions explains all reads: all were tried ({answer.tries:,} choices)"
        return Anomaly(name=name, what=what, ruled_out=ruled_out)
    edges = cycle_edges(g, answer.cycle)
    ops = tuple(dict.fromkeys(e.source for e in edges))
    what = "; ".join(e.why for e in edges) + f": so each of ops {', '.join(map(str, ops))} comes before itself"
    return Anomaly(name=_class_of(edges, answer, name), what=what, ops=ops, edges=edges, ruled_out=ruled_out)


def _class_of(edges: tuple[Edge, ...], answer: Answer, otherwise: str) -> str:
    """Return the class of a cycle of known dependencies; one that needed conclusions has no such name."""
    kinds = [e.kind for e in edges]
    order = "-realtime" if "rt" in kinds else "-process" if "process" in kinds else ""
    if not answer.linear and "ww" in kinds:
        return otherwise
    many = kinds.count("rw")
    if not many:
        return ("G1c" if "wr" in kinds else "G0") + order
    if many == 1:
        return "G-single" + order
    beside = any(a == b == "rw" for a, b in zip(kinds, kinds[1:] + kinds[:1], strict=True))
    return ("G2-item" if beside else "G-nonadjacent") + order


def cycle_edges(g: Polygraph, steps: Steps) -> tuple[Edge, ...]:
    """Return the steps between transactions in words."""
    edges = []
    for source, target, (kind, key, third) in steps:
        a, b = g.txn(source), g.txn(target)
        if kind != GLUE:
            words = _words(g.r, a, b, kind, show(key), third)
            edges.append(Edge(source=g.r.op(a), target=g.r.op(b), kind=KINDS[kind], why=words))
    return tuple(edges)


def _words(r: Registers, source: int, target: int, kind: int, key: str, third: int) -> str:
    a, b = r.op(source), r.op(target)
    if kind == WR:
        return f"op {b} read {key} that op {a} wrote"
    if kind == RW:
        return f"op {a} read {key} from {r.named(third)}, before op {b} wrote it"
    if kind == WW:
        return f"op {a} wrote {key} before op {b} (their other order contradicts what was read)"
    return f"op {b} came after op {a} in the same session" if kind == PROCESS else f"op {a} ended before op {b} began"


def _between(r: Registers, level: Level, options: Options, judged: Judged) -> None:
    """Levels without an exact method here: a stronger one that holds, or a weaker one that does not, decides."""
    if level.base != "cursor-stability" and level.base != "consistent-view":
        weaker = Judged()
        judge(r, LEVELS["causal"] if level.order else LEVELS["read-atomic"], options, weaker)
        for anomaly in weaker.kept:
            judged.add(Anomaly(name=anomaly.name, what=anomaly.what, ops=anomaly.ops, key=anomaly.key,
                               edges=anomaly.edges, ruled_out=stronger_than(level)))  # fmt: skip
    elif causal_order(r) is None:
        judge(r, Level("read-committed", "read-committed", level.order), options, judged)
    if judged.against(level):
        return
    stronger = Judged()
    _strong(r, Level("snapshot-isolation", "snapshot-isolation", level.order), options, stronger)
    lost = [a for a in stronger.kept if a.name == "lost-update" or a.name.startswith(("G0", "G1", "G-single"))]
    for anomaly in lost:
        judged.add(anomaly)
    if not lost and (stronger.kept or stronger.doubts):
        judged.doubts.append(f"snapshot isolation, which implies {level.name}, does not hold; {level.name} may")


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definitions on n random histories, and mutate histories that are known to be good."""
    return registers_selftest(check, n, seed)
