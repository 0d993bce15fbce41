"""The folder of a run: its name, its files, how it is found again, and which runs are alive."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from seatrial import plan as plans
from seatrial import verdict as verdicts
from seatrial.clock import Clock, iso_utc, utc_stamp
from seatrial.errors import EnvironmentTrouble, UsageError
from seatrial.plan import Plan
from seatrial.store.lines import replace_file
from seatrial.verdict import Verdict

LATEST = "latest"
_UNFIT = re.compile(r"[^A-Za-z0-9._+]+")
T = TypeVar("T")


class Conductor(msgspec.Struct, frozen=True, kw_only=True):
    """Who conducts a run: conductor.json. started is ISO 8601 UTC. A pid means this process only with its start_ticks
    (clock ticks from boot, field 22 of /proc/PID/stat) in this boot (boot_id)."""

    pid: int
    start_ticks: int
    started: str
    boot_id: str = ""
    guardian: int = 0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @classmethod
    def create(cls, runs: Path | str, clock: Clock, *, app: str, scenario: str, seed: int) -> RunFolder:
        """Make `<utc>-<app>-<scenario>-<seed>` under `runs`, with a number when it is taken; point `latest` to it.

        Raises EnvironmentTrouble when it cannot be made.
        """
        parts = (utc_stamp(clock.wall_ns()), *(_UNFIT.sub("_", p) or "_" for p in (app, scenario, str(seed))))
        try:
            Path(runs).mkdir(parents=True, exist_ok=True)
            folder = cls(_make_new(Path(runs).resolve() / "-".join(parts)))
            for sub in (folder.journal, folder.logs, folder.work):
                sub.mkdir()
            folder.make_latest()
        except OSError as trouble:
            raise EnvironmentTrouble(
                f"cannot make a run folder under {runs}: {trouble.strerror}; choose another folder with --out"
            ) from trouble
        return folder

    @property
    def name(self) -> str:
        """Return the name of the run."""
        return self.path.name

    @property
    def tag(self) -> str:
        """Return what marks everything that the run starts: no other run on this machine has it.

        Names are unique below one folder only, and two runs that shared a tag would end each other's processes.
        """
        place = hashlib.blake2b(str(self.path.resolve()).encode(), digest_size=4).hexdigest()
        return f"{self.name}-{place}"

    @property
    def journal(self) -> Path:
        """Return the folder of ops and events."""
        return self.path / "journal"

    @property
    def logs(self) -> Path:
        """Return the folder of the logs of the app's processes."""
        return self.path / "logs"

    @property
    def work(self) -> Path:
        """Return the folder of the app's data and configuration."""
        return self.path / "work"

    @property
    def ledger(self) -> Path:
        """Return the path of the ledger."""
        return self.path / "ledger.jsonl"

    @property
    def report_html(self) -> Path:
        """Return the path of the report page."""
        return self.path / "report.html"

    @property
    def report_md(self) -> Path:
        """Return the path of the report in Markdown."""
        return self.path / "report.md"

    @property
    def junit(self) -> Path:
        """Return the path of the JUnit file."""
        return self.path / "junit.xml"

    def make_latest(self) -> None:
        """Let `latest` beside this folder point to it, in one step."""
        temporary = self.path.parent / f".{LATEST}.{self.name}"
        temporary.symlink_to(self.name)
        temporary.replace(self.path.parent / LATEST)

    def write_plan(self, plan: Plan) -> None:
        """Write plan.json whole or not at all."""
        replace_file(self.path / "plan.json", plans.encode(plan))

    def read_plan(self) -> Plan:
        """Return the plan. Raises UsageError when there is none that can be read."""
        return self._read("plan.json", Plan)

    def write_verdict(self, verdict: Verdict) -> None:
        """Write verdict.json whole or not at all."""
        replace_file(self.path / "verdict.json", verdicts.encode(verdict))

    def read_verdict(self) -> Verdict:
        """Return the verdict. Raises UsageError when there is none that can be read."""
        return self._read("verdict.json", Verdict)

    def write_conductor(self, clock: Clock, *, guardian: int = 0) -> Conductor:
        """Write down that this process conducts the run; return what was written."""
        pid = os.getpid()
        ticks, started = start_ticks(pid) or 0, iso_utc(clock.wall_ns())
        conductor = Conductor(pid=pid, start_ticks=ticks, started=started, boot_id=boot_id(), guardian=guardian)
        replace_file(self.path / "conductor.json", msgspec.json.encode(conductor) + b"\n")
        return conductor

    def read_conductor(self) -> Conductor:
        """Return who conducts the run. Raises UsageError when that was not written down."""
        return self._read("conductor.json", Conductor)

    def alive(self) -> bool:
        """Return whether the conductor of this run lives."""
        try:
            conductor = self.read_conductor()
        except UsageError:
            return False
        return conductor.boot_id == boot_id() and start_ticks(conductor.pid) == conductor.start_ticks

    def _read(self, name: str, kind: type[T]) -> T:
        path = self.path / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError as trouble:
            raise UsageError(
                f"{self.path} has no {name}: it is not a run folder, or the run ended before it"
            ) from trouble
        except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
            raise UsageError(
                f"{path} cannot be read: {trouble}; was it written by this version of seatrial?"
            ) from trouble


def find_run(text: str, runs: Path | str = "runs") -> RunFolder:
    """Return the run that a user means: a path, "latest", or the beginning of a name in `runs` that only one run has.

    Raises UsageError when no run or several are meant; it names them.
    """
    if Path(text).is_dir() and (text != LATEST or not (Path(runs) / LATEST).exists()):
        return RunFolder(Path(text).resolve())
    if text == LATEST and (Path(runs) / LATEST).is_dir():
        return RunFolder((Path(runs) / LATEST).resolve())
    found = [run for run in list_runs(runs) if run.name.startswith(text)]
    exact = [run for run in found if run.name == text]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise UsageError(
            f"no run {text!r}: it is neither a folder nor the beginning of a name in {runs}; see `seatrial ps`"
        )
    names = ", ".join(run.name for run in found[:5])
    raise UsageError(f"{len(found)} runs in {runs} begin with {text!r}: {names}; give more of the name")


def list_runs(runs: Path | str = "runs") -> list[RunFolder]:
    """Return the runs in a folder, oldest first: every folder with a journal or a conductor in it."""
    return sorted(_runs(Path(runs)), key=lambda run: run.name)


def _runs(runs: Path) -> Iterator[RunFolder]:
    for path in runs.iterdir() if runs.is_dir() else ():
        known = (path / "journal").is_dir() or (path / "conductor.json").exists()
        if known and not path.is_symlink():
            yield RunFolder(path.resolve())


def start_ticks(pid: int) -> int | None:
    """Return when a live process was started, in clock ticks from boot; None when there is none, or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rfind(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    """Return the id of this boot of the machine; "" when the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _make_new(wanted: Path) -> Path:
    """Make a folder of that name, or of that name and the first free number."""
    number = 1
    while True:
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path
