"""Who is running: from the program file, from the listening socket, and from the app's own mouth."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from deploykit import Rig

from seatrial.host import marks, proc
from seatrial.plan import Artefact, Identity, Process, Ready
from seatrial.ports import Claim, Installed


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def installed(root: Path, version: str = "1.2.3") -> dict[str, Installed]:
    artefact = Artefact(name="srv", provider="path", package="srv", version=version)
    values = {"root": str(root), "bin": str(root / "bin"), "version": version, "digest": "d"}
    return {"srv": Installed(artefact=artefact, version=version, digest="d", root=root, values=values)}


def claims(rig: Rig, process: Process, root: Path, version: str = "1.2.3") -> list[Claim]:
    async def main() -> list[Claim]:
        async with rig.deployed(process, installed=installed(root, version)) as d:
            await d.start()
            return await d.claims()

    return asyncio.run(main())


@pytest.mark.proves("S3-14")
@pytest.mark.parametrize(
    "identity",
    [
        Identity(kind="http", artefact="srv", port="http", pattern=r"hello (\S+)"),
        Identity(kind="http", artefact="srv", port="http", pattern=r"Server: BaseHTTP/(\S+) ", expect="0.6"),
        Identity(kind="exec", artefact="srv", command=("echo", "v1.2.3 of {{ process }}"), pattern=r"v(\S+)"),
        Identity(kind="log", artefact="srv", pattern=r"^(listening)$", expect="listening"),
        Identity(kind="protocol", artefact="srv", port="http", function="ask.py:version"),
    ],
    ids=lambda i: i.kind,
)
def test_the_app_says_its_version_in_every_way(rig: Rig, identity: Identity) -> None:
    rig.script("ask.py", "async def version(address, values):\n    return values['version']\n")
    found = claims(rig, rig.server(artefact="srv", identity=identity), rig.app)
    assert [(c.source, c.ok) for c in found] == [("runtime", True), ("runtime", True), ("app", True)]


@pytest.mark.proves("S3-14")
def test_another_version_is_a_claim_that_does_not_hold(rig: Rig) -> None:
    identity = Identity(kind="http", artefact="srv", port="http", pattern=r"hello (\S+)")
    app = claims(rig, rig.server(artefact="srv", identity=identity), rig.app, version="1.2.4")[-1]
    assert (app.ok, app.expected, app.observed) == (False, "1.2.4", "1.2.3")
    assert "says it is '1.2.3', not '1.2.4'" in app.reason


def test_an_answer_without_the_version_says_what_came(rig: Rig) -> None:
    identity = Identity(kind="http", artefact="srv", port="http", pattern=r"version=(\S+)")
    app = claims(rig, rig.server(artefact="srv", identity=identity), rig.app)[-1]
    assert not app.ok
    assert "is not in its answer 'hello 1.2.3'" in app.reason


def test_a_program_from_elsewhere_is_seen(rig: Rig, tmp_path: Path) -> None:
    """The command is found on PATH instead of in the artefact: what runs is not what was installed."""
    other = tmp_path / "artefact"
    (other / "bin").mkdir(parents=True)
    first = claims(rig, rig.server(artefact="srv"), other)[0]
    assert not first.ok
    assert str(other) in first.reason


def test_a_native_program_of_the_artefact_is_known_by_its_file(rig: Rig, tmp_path: Path) -> None:
    root = tmp_path / "artefact"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/sleep", root / "bin" / "snooze")
    process = Process(name="s", command=("snooze", "600"), artefact="srv", ready=Ready(kind="exec", command=("true",)))
    (first,) = claims(rig, process, root)
    assert first.ok
    assert "snooze 600" in first.observed


TITLE = """
    import ctypes, os, sys, time
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    fields = open("/proc/self/stat").read().rpartition(")")[2].split()
    for start, end in ((fields[45], fields[46]), (fields[47], fields[48])):  # arguments, environment
        ctypes.memset(int(start), 0, int(end) - int(start))
    print("gone", flush=True)
    time.sleep(600)
"""


def test_a_daemon_that_wrote_over_its_environment_is_still_ours(rig: Rig) -> None:
    """As redis, nginx and postgres do when they set their title."""

    async def main() -> None:
        spec = rig.process("r", TITLE, ready=Ready(kind="log", pattern="gone", within_s=10), stop_grace_s=2)
        async with rig.deployed(spec) as d:
            await d.start()
            (pid,) = d.pids("r")
            assert proc.environ(pid) == {}
            assert marks.of_run(rig.run, ("r",)) == {pid: proc.start_ticks(pid)}
            (stopped,) = await d.stop()
            assert stopped.how == "exited"
            assert not proc.alive(pid)

    asyncio.run(main())
