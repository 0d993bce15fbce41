"""What is wrong with a users module is said in one sentence with file and line, and ends the stage."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from crew_kit import rows, sail, trip

from seatrial.crew.users import User, task, tasks_of
from seatrial.errors import StageFailed
from seatrial.history import CrewEvent, OpOutcome
from seatrial.plan import Arrivals, Crew, UserClass

pytestmark = pytest.mark.real
HEAD = "import asyncio, os, time\nfrom seatrial.crew.users import User, Verb, task\n"
GOOD = HEAD + "class Keeper(User):\n    @task\n    async def put(self):\n"
FINE = GOOD + "        async with self.op('put'): await asyncio.sleep(0)\n"
START = HEAD + "class Keeper(User):\n    async def on_start(self): %s\n    @task\n    async def put(self): pass\n"
KEPER = Crew(module="users.py", classes=(UserClass(name="Keper"),))

BROKEN = [
    ("class Keeper(:\n", {}, r"users\.py:1: syntax error: .*class Keeper\(:"),
    ("import not_there_at_all\n", {}, r"users\.py:1: in <module>: ModuleNotFoundError: No module named 'not_there"),
    (HEAD + "x = 1\n", {}, r"users\.py: no class derives from seatrial\.User and has a method marked @task"),
    (HEAD + "class K(User):\n    def __init__(self, n, w):\n        boom\n    @task\n    async def t(self): pass\n", {},
     r"K\.__init__: .*users\.py:5: in __init__: NameError: name 'boom'"),
    (FINE, {"crew": Crew(module="people.py")}, r"people\.py: no such users module"),
    (FINE, {"crew": KEPER}, "no user class 'Keper' .did you mean 'Keeper'"),
    (FINE, {"mix": {"pot": 1.0}}, r"load\.mix names a task 'pot' that is not there \(did you mean 'put'\?\)"),
    (FINE, {"mix": {"put": 0.0}}, r"tasks: no weight is above 0"),
    (FINE, {"arrivals": Arrivals(rate=0)}, r"load\.arrivals: a constant rate of 0 never arrives"),
    (START % "raise KeyError('token')", {}, r"Keeper\.on_start of user \d: .*:4: in on_start: KeyError: 'token'"),
    (START % "(await self.http.get('/')).expect(200)", {}, r"Keeper\.on_start of user \d did not succeed: refused"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "options", "text"), BROKEN)
def test_a_module_that_cannot_be_used_is_told_before_the_drive(
    tmp_path: Path, module: str, options: dict[str, object], text: str
) -> None:
    journey = trip(tmp_path, 1, module=module, **options)
    with pytest.raises(StageFailed, match=text) as caught:
        sail(journey)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [e.what for e in journey.of(CrewEvent) if e.what == "error"] == ["error"]


def test_a_bug_in_a_task_makes_its_op_unknown_and_ends_the_drive_with_file_and_line(tmp_path: Path) -> None:
    module = GOOD + "        async with self.op('put', Verb.WRITE, key='k', value='v'):\n            {}['nothing']\n"
    journey = trip(tmp_path, 1, module=module, length_s=20)
    began = time.monotonic()
    with pytest.raises(StageFailed, match=r"Keeper\.put: .*users\.py:7: in put: KeyError: 'nothing'"):
        sail(journey)
    assert time.monotonic() - began < 10, "it does not wait for the end of the load"
    found = rows(journey.ops())
    assert found
    assert {(r["outcome"], r["error"]) for r in found} == {(OpOutcome.UNKNOWN, "bug:KeyError")}


def test_a_user_that_blocks_the_worker_is_noticed(tmp_path: Path) -> None:
    journey = trip(tmp_path, 1, module=GOOD + "        time.sleep(30)\n", length_s=60)
    began = time.monotonic()
    with pytest.raises(StageFailed, match=r"crew worker 0 gave no sign of life for .* it hangs"):
        sail(journey, silent_s=1.5)
    assert time.monotonic() - began < 12
    assert "hung" in [e.what for e in journey.of(CrewEvent)]


SPOIL = """
        for fd in range(3, 30):
            try: os.write(fd, b'what is this\\n')
            except OSError: pass
"""
READER = """
class Reader(User):
    weight = 3
    @task
    async def look(self):
        async with self.op('look'): pass
"""


def test_garbage_among_the_reports_is_shown(tmp_path: Path) -> None:
    journey = trip(tmp_path, 1, module=GOOD + SPOIL, length_s=20)
    with pytest.raises(StageFailed, match="crew worker 0 printed what is no report: 'what is this'"):
        sail(journey)


def test_prints_of_users_go_to_the_log_and_harm_nothing(tmp_path: Path) -> None:
    journey = trip(tmp_path, 1, module=GOOD + "        print('hello from', self.id, self.target.values['note'])\n")
    sail(journey)
    assert "hello from 0 hello" in (journey.folder / "logs" / "crew-0.log").read_text()


def test_readback_goes_on_after_an_op_that_failed(tmp_path: Path) -> None:
    module = FINE + (
        "    async def readback(self):\n"
        "        for n in range(3):\n"
        "            async with self.op('read', Verb.READ, key=f'k{n}') as op:\n"
        "                await self.http.get('/')\n"
        "            assert not op.ok and op.error == 'refused'\n"
    )
    journey = trip(tmp_path, 1, module=module, users=2, arrivals=Arrivals(rate=2))
    sail(journey)
    reads = [r for r in rows(journey.ops()) if r["name"] == "read"]
    assert [r["outcome"] for r in reads] == [OpOutcome.FAIL] * 6


def test_classes_share_the_users_by_weight(tmp_path: Path) -> None:
    journey = trip(tmp_path, 1, module=FINE + READER, users=8, arrivals=Arrivals(rate=80))
    sail(journey)
    by_name = {}
    for row in rows(journey.ops()):
        by_name.setdefault(row["name"], set()).add(row["user"])
    assert {name: len(users) for name, users in by_name.items()} == {"put": 2, "look": 6}


def test_tasks_are_found_in_base_classes_and_can_be_taken_out() -> None:
    class Base(User):
        @task
        async def one(self) -> None: ...

        @task(weight=2)
        async def two(self) -> None: ...

    class Other(Base):
        async def one(self) -> None: ...

        @task(weight=5)
        async def three(self) -> None: ...

    assert tasks_of(Base) == {"one": 1.0, "two": 2.0}
    assert tasks_of(Other) == {"two": 2.0, "three": 5.0}
    assert asyncio.iscoroutinefunction(Other.three)
