"""The cache: one fill at a time, nothing half filled ever looks whole, clear words when the disk is the trouble."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.artefacts import Cache, Pypi, Workshop
from seatrial.artefacts.tool import Job, run
from seatrial.artefacts.trouble import MEGA, nearest, version_key
from seatrial.clock import SystemClock
from seatrial.errors import EnvironmentTrouble
from seatrial.plan import Artefact

INSTALL = """
import asyncio, sys
from pathlib import Path
from seatrial.artefacts import Cache, Pypi, Workshop
from seatrial.clock import SystemClock
from seatrial.plan import Artefact
shop = Workshop(cache=Cache(Path(sys.argv[1])), clock=SystemClock(), base=Path())
wanted = Artefact(name="app", provider="pypi", package="radicale", version="3.9.0")
got = asyncio.run(Pypi(shop).install(wanted, lambda line: print(line, flush=True)))
print("digest", got.digest)
"""
RADICALE = Artefact(name="app", provider="pypi", package="radicale", version="3.9.0")


def job(said: list[str] | None = None) -> Job:
    return Job(label="thing 1", say=(said if said is not None else []).append, clock=SystemClock())


async def fill(tree: Path, job: Job) -> dict[str, str]:
    tree.mkdir()
    (tree / "file").write_text("whole")
    return {"version": "1"}


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def start_install(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", INSTALL, str(root)], stdout=subprocess.PIPE, text=True)


def working_in(folder: Path) -> list[str]:
    """Return the processes that have the folder in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.proves("S3P-20")
@pytest.mark.real
def test_two_processes_that_fill_at_once_share_one_installation(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    both = [start_install(root) for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("installing with pip" in text for text in told) == 1
    assert sum("another run is installing it; waiting" in text for text in told) == 1
    assert len({text.splitlines()[-1] for text in told}) == 1


@pytest.mark.real
@pytest.mark.parametrize("after_s", [0.0, 0.4, 1.0])
def test_a_killed_filler_leaves_nothing_that_looks_whole(tmp_path: Path, after_s: float) -> None:
    root = tmp_path / "cache"
    process = start_install(root)
    assert process.stdout is not None
    assert "installing with pip" in process.stdout.readline()
    time.sleep(after_s)  # the moment of the kill is what is varied here
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert eventually(lambda: not working_in(root)), working_in(root)
    folder = next(root.glob("pypi/radicale*"))
    assert not (folder / "complete.json").exists()
    assert Cache(root).find("pypi", folder.name) is None
    said: list[str] = []
    shop = Workshop(cache=Cache(root), clock=SystemClock(), base=tmp_path)
    got = asyncio.run(Pypi(shop).install(RADICALE, said.append))
    assert said[0] == "radicale 3.9.0: installing with pip ..."
    version = subprocess.run([got.values["python"], "-m", "radicale", "--version"], capture_output=True, text=True)
    assert version.stdout.strip() == "3.9.0"


def test_leftovers_of_other_entries_are_reaped_and_live_ones_are_not(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    stale = cache.root / "npm" / "stale-1"
    (stale / "tree").mkdir(parents=True)

    async def scene() -> None:
        asked = asyncio.Event()
        go_on = asyncio.Event()

        async def slow(tree: Path, job: Job) -> dict[str, str]:
            tree.mkdir()
            asked.set()
            await go_on.wait()
            return {}

        live = asyncio.create_task(cache.obtain("pypi", "live-1", slow, job(), room=0))
        await asked.wait()
        await cache.obtain("pypi", "other-1", fill, job(), room=0)
        assert (cache.root / "pypi" / "live-1" / "tree").is_dir()
        go_on.set()
        await live

    asyncio.run(scene())
    assert not stale.exists()
    assert cache.find("pypi", "live-1") is not None
    assert cache.find("pypi", "other-1") is not None


def test_a_cancelled_or_failed_fill_is_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")

    async def broken(tree: Path, job: Job) -> dict[str, str]:
        tree.mkdir()
        raise EnvironmentTrouble("no")

    async def endless(tree: Path, job: Job) -> dict[str, str]:
        tree.mkdir()
        await run(["sh", "-c", f"sleep 300 & touch {tree}/started; sleep 300; : {tree}"], job)
        return {}

    async def cancelled() -> None:
        task = asyncio.create_task(cache.obtain("x", "endless", endless, job(), room=0))
        while not (cache.root / "x" / "endless" / "tree" / "started").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with pytest.raises(EnvironmentTrouble):
        asyncio.run(cache.obtain("x", "broken", broken, job(), room=0))
    asyncio.run(cancelled())
    assert not list(cache.root.glob("*/*/"))
    assert not working_in(cache.root)


def test_an_entry_that_was_moved_is_filled_again(tmp_path: Path) -> None:
    asyncio.run(Cache(tmp_path / "one").obtain("x", "a", fill, job(), room=0))
    (tmp_path / "one").rename(tmp_path / "two")
    moved = Cache(tmp_path / "two")
    assert moved.find("x", "a") is None
    assert asyncio.run(moved.obtain("x", "a", fill, job(), room=0)).tree == tmp_path / "two" / "x" / "a" / "tree"


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_torn_marker_is_no_marker(tmp_path: Path, cut: int) -> None:
    cache = Cache(tmp_path / "cache")
    asyncio.run(cache.obtain("x", "a", fill, job(), room=0))
    marker = cache.root / "x" / "a" / "complete.json"
    marker.write_bytes(marker.read_bytes()[:cut])
    assert cache.find("x", "a") is None


def test_a_quiet_tool_is_heard_of_and_slow_ones_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seatrial.artefacts.tool.QUIET_S", 0.2)
    said: list[str] = []
    slow = Job(label="thing 1", say=said.append, clock=SystemClock(), within_s=0.9)
    with pytest.raises(EnvironmentTrouble, match=r"thing 1: sh did not finish in 1 s \(last: downloading\)"):
        asyncio.run(run(["sh", "-c", f"echo downloading; sleep 60; : {tmp_path}"], slow, doing="installing"))
    assert 2 <= len(said) <= 5
    assert said[0].startswith("thing 1: still installing after 0 s (downloading)")
    assert not working_in(tmp_path)


def test_too_little_room_is_said_before_anything_is_done(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    with pytest.raises(EnvironmentTrouble, match=r"thing 1: about \d+ MiB are needed in .* set SEATRIAL_CACHE"):
        asyncio.run(cache.obtain("x", "a", fill, job(), room=1 << 60))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.real
def test_a_full_disk_is_told_apart(tiny_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop(cache=Cache(tiny_disk), clock=SystemClock(), base=tiny_disk)
    with pytest.raises(EnvironmentTrouble, match="about 256 MiB are needed"):
        asyncio.run(Pypi(shop).install(RADICALE, lambda line: None))
    monkeypatch.setattr("seatrial.artefacts.pypi.ROOM", 1 * MEGA)
    with pytest.raises(EnvironmentTrouble, match=r"radicale 3.9.0: the disk of .* is full; free some space"):
        asyncio.run(Pypi(shop).install(RADICALE, lambda line: None))
    assert not list(tiny_disk.glob("*/*/"))


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentTrouble, match=r"the cache folder .*/file cannot be used .*; set SEATRIAL_CACHE"):
        asyncio.run(Cache(tmp_path / "file").obtain("x", "a", fill, job(), room=0))


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SEATRIAL_CACHE", raising=False)
    assert Cache().root == tmp_path / "seatrial"
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "own"))
    assert Cache().root == tmp_path / "own"


versions = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@settings(max_examples=100)
@given(st.lists(versions, min_size=1, unique=True), versions)
def test_nearest_versions_are_real_and_in_order(known: list[str], wanted: str) -> None:
    near = nearest(wanted, known)
    assert set(near) <= set(known)
    assert len(near) == min(5, len(known))
    assert near == sorted(near, key=version_key)


def test_versions_are_ordered_as_people_do() -> None:
    order = ["3.9.0", "3.10.0rc1", "3.10.0", "3.10.1"]
    assert sorted(set(order), key=version_key) == order
