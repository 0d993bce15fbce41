"""Recordings of reads and writes, or of appends and whole lists, as transactions on registers."""

from __future__ import annotations

from seatrial.history.recorded import Recorded
from seatrial.judge.modelling import Options
from seatrial.judge.transactions.anomalies import Judged
from seatrial.judge.transactions.columns import appends_of, transactions
from seatrial.judge.transactions.registers import Registers, registers_of


def has_lists(recorded: Recorded) -> bool:
    """Return whether the transactions append to lists."""
    return any(kind == "append" for _, mops in transactions(recorded) for kind, _, _ in mops)


def registers_from(recorded: Recorded, options: Options, judged: Judged) -> Registers:
    """Return the transactions on registers, whichever kind the recording has; add what single reads show."""
    if not has_lists(recorded):
        return registers_of(recorded, options, judged)
    from seatrial.judge.transactions.append_faults import add_faults
    from seatrial.judge.transactions.append_graph import orders_of
    from seatrial.judge.transactions.lists import as_registers

    appends = appends_of(recorded)
    made = orders_of(appends)
    add_faults(appends, made, judged, bool((options.extra or {}).get("partial")))
    return as_registers(appends, made, recorded.realtime)
