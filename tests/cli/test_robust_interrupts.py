"""Real runs that are asked to stop, lose their terminal, have no room on the disk, or are not root."""

from __future__ import annotations

import json
import os
import pty
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "engine"))
from residue_kit import VICTIM, Ship, ashore, residue, wait_for  # noqa: F401

pytestmark = pytest.mark.real


def stopped_in_order(ship: Ship, code: int = 130) -> dict:  # type: ignore[type-arg]
    """The run ended after an interrupt: healed, torn down, with a verdict that says so."""
    assert ship.finish() == code, ship.said
    verdict = ship.verdict()
    assert verdict["outcome"] == "inconclusive"
    assert str(verdict["reason"]).startswith("interrupted by signal: asked to stop by SIG")
    assert verdict["teardown"] == {"clean": True, "residue": []}
    assert not residue(ship)
    assert "Traceback" not in ship.said
    return verdict


@pytest.mark.proves("S2P-8", "S3-7")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("fault", ["kill", "cut"])
def test_a_signal_heals_tears_down_and_writes_a_verdict(tmp_path: Path, number: signal.Signals, fault: str) -> None:
    ship = Ship(tmp_path / "ship").start()
    ship.wait_fault(fault, "injected")
    ship.process.send_signal(number)
    verdict = stopped_in_order(ship)
    assert number.name in str(verdict["reason"])
    assert all(f["gone"] or not f["injected"] for f in verdict["faults"])
    assert verdict["accounting"]["sent"] > 0
    assert "interrupted: healing faults and tearing down; a verdict will still be written" in ship.said
    assert "interrupted by signal" in ship.printed


@pytest.mark.proves("S3-7")
@pytest.mark.parametrize("stage", ["install", "ready", "heal", "quiesce", "readback"])
def test_a_signal_in_the_other_stages(tmp_path: Path, stage: str) -> None:
    ship = Ship(tmp_path / "ship", scenario="steady", sets={"length": "2s"}).start()
    ship.wait_stage(stage)
    ship.process.send_signal(signal.SIGINT)
    code = ship.finish()
    assert code in (0, 130), ship.said  # a stage of milliseconds may be over before the signal comes
    assert ship.verdict()["outcome"] == {0: "pass", 130: "inconclusive"}[code]
    assert not residue(ship)


def test_ctrl_c_again_and_again_is_answered_with_patience(tmp_path: Path) -> None:
    ship = Ship(tmp_path / "ship").start()
    ship.wait_fault("kill", "verified")
    ship.process.send_signal(signal.SIGINT)
    wait_for(lambda: "interrupted: healing" in ship.said, 10.0, "the answer to Ctrl-C")
    ship.process.send_signal(signal.SIGINT)
    stopped_in_order(ship)


def test_ctrl_c_before_the_first_stage(tmp_path: Path) -> None:
    ship = Ship(tmp_path / "ship").start()
    wait_for(lambda: ship.folder is not None and (ship.folder.path / "conductor.json").exists(), 20.0, "the run folder")
    ship.process.send_signal(signal.SIGINT)
    verdict = stopped_in_order(ship)
    assert {s["outcome"] for s in verdict["stages"] if s["name"] == "drive"} == {"not-tested"}


def test_readers_that_go_away_do_not_end_the_run(tmp_path: Path) -> None:
    (out_end, out), (said_end, said) = os.pipe(), os.pipe()
    ship = Ship(tmp_path / "ship", scenario="steady", sets={"length": "3s"}).start(stdout=out, stderr=said)
    for fd in (out, said):
        os.close(fd)
    ship.wait_stage("drive")
    for fd in (out_end, said_end):
        os.close(fd)
    code = ship.finish()
    assert ship.verdict()["outcome"] == "pass"
    assert code == 0
    assert not residue(ship)


def test_a_terminal_that_closes_stops_the_run_in_order(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    ship = Ship(tmp_path / "ship").start(stdout=slave, stderr=slave)
    os.close(slave)
    ship.wait_fault("kill", "injected")
    os.close(master)  # writes to the terminal fail from here
    ship.process.send_signal(signal.SIGHUP)
    stopped_in_order(ship)


# ---- no room ------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> None:
    """Take all the room that is left."""
    with (place / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, tiny: Path) -> None:
    fill(tiny)
    ship = Ship(tmp_path / "ship", out=tiny / "runs").start()
    assert ship.finish() == 3, ship.said
    assert "No space left on device" in ship.said
    assert "Traceback" not in ship.said
    assert not ship.crew()


@pytest.mark.parametrize("fault", ["latency", "pause"])
def test_a_disk_that_fills_up_during_the_run(tmp_path: Path, tiny: Path, fault: str) -> None:
    ship = Ship(tmp_path / "ship", out=tiny / "runs").start()
    ship.wait_fault(fault, "injected")
    fill(tiny)
    assert ship.finish() == 3, ship.said
    assert "No space left on device" in ship.said
    assert "Traceback" not in ship.said
    (tiny / "ballast").unlink()
    assert ship.folder is not None
    wait_for(lambda: not ship.crew(), 20.0, "everything of the run")
    healed = ship.command("heal", ship.folder.name, "--json")
    assert json.loads(healed.stdout)["runs"][0]["left"] == []
    told = ship.command("judge", ship.folder.name, "--json")
    verdict = json.loads(told.stdout)
    assert verdict["outcome"] in ("environment", "inconclusive"), verdict["reason"]
    assert not [left for left in residue(ship) if "beside" not in left]


# ---- not root -----------------------------------------------------------------------------------------------


def python_for(user: int) -> str:
    """Return a Python of this version that the user may execute; ours may lie in a home folder that is closed to it."""
    minor = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{minor}", f"/usr/local/bin/{minor}"):
        try:
            subprocess.run([python, "-c", ""], user=user, group=user, extra_groups=[], cwd="/", check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip(f"no {minor} here that an ordinary user may execute")


@pytest.fixture
def nobody() -> Iterator[tuple[int, Path]]:
    """The user nobody, and a folder that it may use (pytest's own are closed to others)."""
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody; the other tests run as an ordinary user then")
    user = pwd.getpwnam("nobody").pw_uid
    place = Path(tempfile.mkdtemp(prefix="not-root-"))
    os.chown(place, user, user)
    place.chmod(0o755)
    yield user, place
    shutil.rmtree(place)


def test_an_ordinary_user_runs_the_storm_is_stopped_and_is_killed_in_it(nobody: tuple[int, Path]) -> None:
    user, place = nobody
    app = place / "kv"
    shutil.copytree(VICTIM, app, ignore=shutil.ignore_patterns("__pycache__"))
    path = os.pathsep.join(p for p in sys.path if p.endswith(("site-packages", "src")))
    ships = []
    for name in ("whole", "killed", "stopped"):
        (place / name).mkdir()
        os.chown(place / name, user, user)
        ship = Ship(place / name, app=app, user=user, python=python_for(user), env={"PYTHONPATH": path})
        ships.append(ship.start())
    whole, killed, stopped = ships
    killed.wait_fault("pause", "verified")
    stopped.wait_fault("pause", "verified")
    killed.process.kill()
    stopped.process.send_signal(signal.SIGTERM)
    wait_for(lambda: not killed.crew(), 30.0, "everything of the killed run")
    assert not residue(killed)
    stopped_in_order(stopped)
    assert whole.finish() == 0, whole.said + whole.printed
    assert not residue(whole)
