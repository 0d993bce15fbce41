"""Users in a program of another language: the documented example runs, and each way to fail is one clear sentence."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from crew_kit import Trip, children, rows, sail, trip, wire

from seatrial.errors import StageFailed
from seatrial.history import Flag, OpOutcome, Verb
from seatrial.plan import Arrivals, Crew

pytestmark = pytest.mark.real
DOCS = Path(__file__).parent.parent.parent / "docs" / "crew-protocol.md"


def documented() -> str:
    """Return the example of the documentation, as it stands there."""
    found = re.search(r"<!-- example: users_program.py -->\n```python\n(.*?)```", DOCS.read_text(), re.S)
    assert found
    return found[1]


def program(tmp_path: Path, text: str, port: int = 1, interpreter: str = sys.executable, **load: object) -> Trip:
    journey = trip(tmp_path, port, crew=Crew(program=(interpreter, "people")), **load)
    (tmp_path / "app" / "people").write_text(text)
    return journey


def test_the_documented_example_works_and_its_rows_are_the_requests_on_the_wire(tmp_path: Path) -> None:
    with wire(tmp_path) as server:
        mix = {"put": 3.0, "get": 1.0}
        journey = program(
            tmp_path, documented(), server.port, workers=2, users=5, mix=mix, arrivals=Arrivals(rate=60), length_s=1.5
        )
        before = children()
        assert sail(journey) == []
        seen = server.requests()
        assert children() == before
    found = rows(journey.ops())
    assert len(found) == len(seen) == 90 + 5
    driven = [r for r in found if not r["flags"] & Flag.READBACK]
    assert Counter(r["outcome"] for r in driven) == {OpOutcome.OK: 90}
    assert all(r["flags"] == Flag.OWNED and r["started_ns"] >= r["intended_ns"] for r in driven)
    last = {r["key"]: r["value"] for r in driven if r["verb"] == Verb.WRITE}
    assert {r["key"]: r["result"] for r in found if r["flags"] & Flag.READBACK} == last
    sent = sorted(at for at, _, _ in seen)
    for row, at in zip(sorted(driven, key=lambda r: r["ended_ns"]), sent[:90], strict=True):
        assert row["started_ns"] <= at, "no op may look later than it was"


def test_the_example_tells_refused_from_lost(tmp_path: Path) -> None:
    journey = program(tmp_path, documented(), 1, arrivals=Arrivals(rate=20))
    sail(journey)
    found = [r for r in rows(journey.ops()) if not r["flags"] & Flag.READBACK]
    assert {(r["outcome"], r["error"]) for r in found} == {(OpOutcome.FAIL, "refused")}
    assert len(found) == 20


NODE = """
const lines = require("readline").createInterface({ input: process.stdin });
const say = (line) => process.stdout.write(JSON.stringify(line) + "\\n");
lines.on("line", (text) => {
  const order = JSON.parse(text);
  if (order.type === "start") say({ type: "ready" });
  if (order.type === "arrival") {
    say({ type: "begin", id: order.arrival, name: "think" });
    setTimeout(() => {
      say({ type: "end", id: order.arrival, outcome: order.arrival % 2 ? "unknown" : "ok" });
      say({ type: "done", arrival: order.arrival });
    }, 5);
  }
  if (order.type === "readback") say({ type: "quiet" });
  if (order.type === "exit") process.exit(0);
});
"""


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed; the same protocol is tested in Python")
def test_a_program_in_javascript(tmp_path: Path) -> None:
    journey = program(tmp_path, NODE, interpreter="node", users=2, arrivals=Arrivals(rate=40))
    assert sail(journey) == []
    found = rows(journey.ops())
    assert Counter(r["outcome"] for r in found) == {OpOutcome.OK: 20, OpOutcome.UNKNOWN: 20}
    assert max(r["actor"] for r in found) >= 2 * 9, "after unknown a user goes on as a new actor"


def show(line: dict[str, object]) -> str:
    """Return the statement that prints a line."""
    return f"print({json.dumps(line)!r}, flush=True)\n"


READY = 'import json, sys, os, time\nsys.stdin.readline()\nprint(\'{"type":"ready"}\', flush=True)\n'
ARRIVE = READY + "sys.stdin.readline()\n"
BEGIN = {"type": "begin", "id": 0}
BAD = {
    "text": (
        "print('hello, I am not JSON', flush=True)",
        "line 2 of its output is not a line .*: hello, I am not JSON",
    ),
    "verb": (show({**BEGIN, "verb": "wright"}), "Invalid enum value 'wright'"),
    "key": (show({**BEGIN, "kee": "k"}), "unknown field `kee`"),
    "end": (show({"type": "end", "id": 5, "outcome": "ok"}), "op 5 is not open"),
    "done": (show({"type": "done", "arrival": 77}), "no arrival 77 is open"),
    "begin": (show({**BEGIN, "id": 99}), "op 99 belongs to no open arrival"),
    "twice": (show(BEGIN) + show(BEGIN), "op 0 is open already"),
    "early": (show(BEGIN) + show({"type": "done", "arrival": 0}), "op 'other' of arrival 0 has not ended"),
    "exit": ("sys.exit(3)", "ended with code 3 while it was at work"),
    "signal": ("os.kill(os.getpid(), 11)", "was ended by SIGSEGV while it was at work"),
    "hang": ("", "hangs: work is open and it said nothing for"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_program_that_goes_wrong_at_work_ends_the_drive_with_one_sentence(tmp_path: Path, kind: str) -> None:
    deed, message = BAD[kind]
    journey = program(
        tmp_path, f"{ARRIVE}{deed}\ntime.sleep(60)\n", length_s=30, timeout_s=0.2, arrivals=Arrivals(rate=5)
    )
    before = children()
    with pytest.raises(StageFailed, match=message) as caught:
        sail(journey)
    assert "crew program" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert children() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit(7)\n", "ended with code 7"),
        ("print('Starting up!', flush=True)\nimport time\ntime.sleep(60)\n", "line 1 .*: Starting up!"),
    ],
)
def test_a_program_that_never_gets_ready(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StageFailed, match=message):
        sail(program(tmp_path, text))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    journey = trip(tmp_path, 1, crew=Crew(program=("no-such-interpreter", "x")))
    with pytest.raises(StageFailed, match="'no-such-interpreter x' cannot be started"):
        sail(journey)
