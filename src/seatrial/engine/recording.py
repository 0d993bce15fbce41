"""A journal and a ledger that never break a cleanup: what cannot be written now waits until there is room."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from seatrial.errors import SeatrialError
from seatrial.history import AnyEvent
from seatrial.ports import Emit, Ledger
from seatrial.undo import AnyUndo

KEPT_MOST = 100_000  # events; a disk that stays full must not cost memory without end


@dataclass(slots=True)
class Recorder:
    """An Emit over another one. trouble: why the journal could not be written at first; "" when all is well.

    Events keep their order. The trial looks at `trouble` and ends the run; healing and teardown go on regardless.
    """

    emit: Emit
    trouble: str = ""
    _waiting: deque[AnyEvent] = field(default_factory=lambda: deque(maxlen=KEPT_MOST))

    def __call__(self, event: AnyEvent) -> None:
        """Write an event and whatever still waits before it; raises nothing that a full disk can cause."""
        self._waiting.append(event)
        try:
            while self._waiting:
                self.emit(self._waiting[0])
                self._waiting.popleft()
        except (SeatrialError, OSError) as error:
            self.trouble = self.trouble or str(error)


@dataclass(slots=True)
class PatientLedger:
    """A ports.Ledger over another one. Opening raises, since then nothing is made; closing waits for room on the disk.

    An entry that could not be closed stays open on the disk, where it is undone once more, which does no harm.
    """

    ledger: Ledger
    _waiting: list[tuple[int, str]] = field(default_factory=list)

    def open(self, kind: str, name: str, undo: AnyUndo) -> int:
        """Write down what is about to be made; return its id. Raises EnvironmentTrouble."""
        return self.ledger.open(kind, name, undo)

    def close(self, entry: int, how: str = "") -> None:
        """Write down that it is gone, now or as soon as it can be written."""
        self._waiting.append((entry, how))
        try:
            while self._waiting:
                self.ledger.close(*self._waiting[0])
                self._waiting.pop(0)
        except (SeatrialError, OSError):
            pass  # the journal is on the same disk, and tells
