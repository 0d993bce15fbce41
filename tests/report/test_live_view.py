"""The live view: plain lines off a terminal, a panel on one, and no way to slow or break a run."""

from __future__ import annotations

import io
import threading
import time

import pytest
import report_samples as samples

from seatrial.clock import NS
from seatrial.history import FaultEvent, Interruption, ProbeSample, ProcessEvent, StageEvent
from seatrial.report.live import LiveView
from seatrial.report.progress import Progress


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += int(seconds * NS)


def wait_for(stream: io.StringIO, text: str, within_s: float = 5.0) -> str:
    end = time.monotonic() + within_s
    while text not in stream.getvalue() and time.monotonic() < end:
        threading.Event().wait(0.02)
    return stream.getvalue()


def begin(stage: str, at_s: float = 0) -> StageEvent:
    return StageEvent(t_ns=int(at_s * NS), stage=stage, what="begin")


def fault(what: str, at_s: float, reason: str = "") -> FaultEvent:
    return FaultEvent(t_ns=int(at_s * NS), id="F1", kind="kill", target="redis", what=what, reason=reason)


@pytest.mark.proves("H-19")
def test_plain_lines_for_stages_faults_and_trouble() -> None:
    stream, clock = io.StringIO(), HandClock()
    view = LiveView(samples.plan(), stream, tty=False, clock=clock)
    view.start()
    view.event(begin("install"))
    view.say("redis 7.0.15: unpacking")
    clock.now = 3 * NS
    view.event(StageEvent(t_ns=3 * NS, stage="install", what="end", outcome="pass"))
    clock.now = 63 * NS
    view.event(begin("drive", 63))
    view.event(fault("planned", 63))
    view.event(fault("injected", 64))
    view.event(ProbeSample(t_ns=64 * NS, probe="health", ok=False, latency_ns=1, reason="refused"))
    view.event(ProbeSample(t_ns=66 * NS, probe="health", ok=True, latency_ns=1))
    view.event(fault("failed", 67, "no effect was measured"))
    view.event(ProcessEvent(t_ns=68 * NS, process="redis", what="exit", code=-11))
    view.event(Interruption(t_ns=69 * NS, by="signal"))
    view.stop()
    assert stream.getvalue().split("\n") == [
        "    0s  stage install (up to 2 min 00 s)",
        "    0s  redis 7.0.15: unpacking",
        "    3s  stage install pass in 3 s",
        "  1:03  stage drive (up to 1 min 30 s)",
        "  1:03  fault F1 kill redis injected",
        "  1:03  probe health bad: refused",
        "  1:03  probe health good again after 2 s",
        "  1:03  fault F1 kill redis failed: no effect was measured",
        "  1:03  process redis exited by itself (signal 11)",
        "  1:03  interrupted by signal",
        "",
    ]


def test_heartbeat_when_nothing_was_said_for_ten_seconds() -> None:
    stream, clock = io.StringIO(), HandClock()
    view = LiveView(samples.plan(), stream, tty=False, clock=clock)
    view.event(begin("drive"))
    view.start()
    wait_for(stream, "stage drive")
    view.ops(0)
    clock.now = 2 * NS
    view.ops(500, ok=490, fail=10, unknown=0)
    clock.now = 11 * NS
    text = wait_for(stream, "500")
    view.stop()
    line = next(line for line in text.split("\n") if "500" in line)
    assert "drive [##......................] 11 s of 1 min 30 s" in line
    assert "490 ok, 10 fail, 0 unknown" in line
    assert "faults none in force" in line


def test_panel_on_a_terminal() -> None:
    stream, clock = io.StringIO(), HandClock()
    view = LiveView(samples.plan(), stream, tty=True, clock=clock)
    view.start()
    view.event(begin("drive"))
    clock.now = 5 * NS
    view.event(fault("injected", 5))
    text = wait_for(stream, "F2 pause redis in 40 s")
    view.stop()
    assert "F2 pause redis in 40 s" in text
    assert "fault F1 kill redis injected" in text
    assert "\x1b[" in text


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(f"{len(text)} characters")


@pytest.mark.parametrize("tty", [False, True])
def test_a_broken_stream_breaks_nothing(tty: bool) -> None:
    view = LiveView(samples.plan(), Broken(), tty=tty, clock=HandClock())
    view.start()
    for i in range(100):
        view.event(begin(f"s{i}", i))
        view.ops(i)
    view.stop()
    view.stop()
    assert threading.active_count() < 10


class Stuck(io.StringIO):
    """A stream whose reader reads nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def write(self, text: str) -> int:
        self.release.wait(20)
        return len(text)


def test_a_stuck_terminal_holds_up_nobody() -> None:
    stream = Stuck()
    view = LiveView(samples.plan(), stream, tty=False, clock=HandClock())
    view.start()
    begun = time.monotonic()
    for i in range(20_000):
        view.event(begin(f"s{i}"))
    took = time.monotonic() - begun
    stream.release.set()
    view.stop()
    assert took < 5.0  # a blocked write would have held each call for 20 s
    assert len(view._lines) <= 1000


def test_nonsense_breaks_nothing() -> None:
    view = LiveView(samples.plan(), io.StringIO(), tty=False, clock=HandClock())
    view.event(None)  # type: ignore[arg-type]
    view.ops("many")  # type: ignore[arg-type]
    view.say(None)  # type: ignore[arg-type]
    view.start()
    view.start()
    view.stop()


def test_rate_is_of_the_last_seconds() -> None:
    progress = Progress(samples.plan(), 0)
    assert progress.rate(0) is None
    for second in range(10):
        progress.ops(second * NS, second * 100 if second < 5 else 400 + (second - 4) * 1000, None, None, None)
    assert progress.rate(9 * NS) == pytest.approx(1000)


def test_next_fault_is_the_earliest_that_was_not_seen() -> None:
    progress = Progress(samples.plan(), 0)
    first = progress.next_fault()
    assert first is not None
    assert first.id == "F1"
    progress.event(fault("injected", 20))
    second = progress.next_fault()
    assert second is not None
    assert second.id == "F2"
