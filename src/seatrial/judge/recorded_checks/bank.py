"""Bank: transfers move money between accounts, so every read of all accounts shows the same total."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import FAIL, OK, initial_of, show, token
from seatrial.verdict import Finding

CLAIM = "every read of all accounts shows the same total, and no account goes where it may not"
Balances = list[tuple[Any, Any]]


@each_object
def check(recorded: Recorded, options: Options) -> Finding:
    """Judge that reads conserve the total.

    extra: total (else of the declared initial balances, else of the first read), accounts (else those of the initial
    balances or of the first read), negative_balances (True: an account may go below zero; default False).
    """
    reads = [(op, b) for op in recorded.ops if op.f in _READS and op.outcome == OK and (b := _balances(op.value))]
    moved = sum(op.f not in _READS and op.f in _TRANSFERS and op.outcome != FAIL for op in recorded.ops)
    troubles = Troubles()
    totals = _judge_reads(reads, recorded, options, troubles)
    figures = {"reads": len(reads), "transfers": moved}
    if totals:
        figures |= {"lowest total": min(totals), "highest total": max(totals)}
    known = option(options.extra, "total", None) is not None or _declared(recorded, options) is not None
    return finding(
        "bank",
        CLAIM,
        troubles,
        examined=len(reads),
        vacuous=_vacuous(len(reads), moved, known),
        figures=figures,
        limit=f"total {show(_total(reads, recorded, options))}" if reads else "",
    )


_READS = frozenset(("read", "r"))
_TRANSFERS = frozenset(("transfer", "txn", "write"))


def _balances(value: Any) -> Balances | None:
    """Return (account, balance) pairs of a map, of [[account, balance] ...] or of [["r", account, balance] ...]."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, (list, tuple)) for v in value):
        if all(len(v) == 2 for v in value):
            return [(v[0], v[1]) for v in value]
        if all(len(v) == 3 and v[0] == "r" for v in value):
            return [(v[1], v[2]) for v in value]
    return None


def _declared(recorded: Recorded, options: Options) -> Balances | None:
    declared = initial_of(recorded, options.initial)
    if declared is None and recorded.initial:
        declared = recorded.initial
    return _balances(declared)


def _total(reads: list[tuple[RecordedOp, Balances]], recorded: Recorded, options: Options) -> Any:
    given = option(options.extra, "total", None)
    if given is not None:
        return given
    return _sum(_declared(recorded, options) or (reads[0][1] if reads else []))


def _sum(balances: Balances) -> Any:
    return sum(b for _, b in balances if _number(b))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _accounts(reads: list[tuple[RecordedOp, Balances]], recorded: Recorded, options: Options) -> frozenset[Any]:
    given = option(options.extra, "accounts", None)
    if given is None:
        given = [a for a, _ in _declared(recorded, options) or (reads[0][1] if reads else [])]
    return frozenset(token(a) for a in given)


def _judge_reads(
    reads: list[tuple[RecordedOp, Balances]], recorded: Recorded, options: Options, troubles: Troubles
) -> list[Any]:
    total, accounts = _total(reads, recorded, options), _accounts(reads, recorded, options)
    negative = bool(option(options.extra, "negative_balances", False))
    first = reads[0][0] if reads else None
    totals = []
    for op, balances in reads:
        seen = _sum(balances)
        totals.append(seen)
        for account, balance in balances:
            if token(account) not in accounts:
                words = f"op {op.index} shows account {show(account)}, which is none of the accounts"
                troubles.add("unexpected account", words, [op], key=account, observed=balance)
            if not _number(balance):
                words = f"op {op.index} shows no balance for account {show(account)}"
                troubles.add("balance missing", words, [op], key=account, observed=balance)
            elif balance < 0 and not negative:
                words = f"op {op.index} shows account {show(account)} at {show(balance)}, below zero"
                troubles.add("negative balance", words, [op], key=account, expected="at least 0", observed=balance)
        if seen != total:
            words = f"op {op.index} shows a total of {show(seen)}, which must be {show(total)}"
            troubles.add("wrong total", words, [first, op], expected=total, observed=seen)
    return totals


def _vacuous(reads: int, moved: int, known: bool) -> str:
    if not reads:
        return "no read of the accounts succeeded, so nothing shows the balances"
    if reads == 1 and not known:
        return "one read succeeded and no total was declared, so there is nothing to hold it against"
    if not moved:
        return "no transfer may have had an effect, so the total could not have changed"
    return ""


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("bank",), n, seed)
