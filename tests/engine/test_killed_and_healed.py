"""Conductor and guardian killed, the conductor killed during an installation, and what the commands make of a wreck."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
from residue_kit import VICTIM, Ship, Wreck, ashore, kill_now, moments, residue, wait_for  # noqa: F401

from seatrial.engine.guardian import is_guardian_of
from seatrial.host import marks
from seatrial.store.ledger import read_ledger

pytestmark = pytest.mark.real


@pytest.mark.proves("S3-119", "H-21")
@pytest.mark.parametrize(("fault", "step"), [("kill", "verified"), ("pause", "verified"), ("blackhole", "injected")])
def test_heal_cleans_everything_when_the_guardian_was_killed_too(tmp_path: Path, fault: str, step: str) -> None:
    ship = Ship(tmp_path / "ship").start()
    ship.wait_fault(fault, step)
    wreck = kill_now(ship, guardian_too=True)
    assert ship.folder is not None
    name, tag = ship.folder.name, ship.folder.tag
    listed = ship.command("ps")
    assert f"{name}  dead" in listed.stdout
    assert f"next: seatrial heal {name}" in listed.stdout
    assert read_ledger(ship.folder.ledger), "this test is about what is left when nobody undoes it"
    healed = ship.command("heal", name, "--json")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    told = json.loads(healed.stdout)["runs"][0]
    assert told["entries"] > 0
    assert told["left"] == []
    gone = wait_for(lambda: not marks.of_run(tag), 5.0, "processes of the run")
    assert gone < 5.0
    wait_for(lambda: not residue(ship, wreck.held), 8.0, "what ends by itself")
    again = ship.command("heal", name, "--json")
    assert json.loads(again.stdout)["runs"][0] == {"run": name, "entries": 0, "done": [], "left": []}
    assert "interrupted by conductor-died" in judged_dead(ship)["reason"]


def test_the_commands_work_on_a_run_whose_conductor_died(tmp_path: Path) -> None:
    ship = Ship(tmp_path / "ship").start()
    ship.wait_fault("stop", "healed")
    kill_now(ship)
    assert ship.folder is not None
    name = ship.folder.name
    rows = json.loads(ship.command("ps", "--json").stdout)["runs"]
    assert rows == [{"run": name, "state": "dead", "judged": False, "open": []}]
    assert f"next: seatrial judge {name}" in ship.command("ps").stdout
    verdict = judged_dead(ship)
    assert verdict["accounting"]["sent"] > 0
    assert verdict["teardown"] == {"clean": True, "residue": []}
    assert judged_dead(ship) == verdict, "the same disk, the same verdict"
    assert ship.command("ps").stdout == "nothing is running, and nothing was left behind\n"
    report = ship.command("report", name)
    assert report.returncode == 0, report.stderr
    page = (ship.folder.path / "report.html").read_text()
    assert "conductor" in page
    replayed = ship.command("replay", name, "--json")
    again = json.loads(replayed.stdout)
    assert (again["seed"], again["app"], again["scenario"]) == (verdict["seed"], verdict["app"], verdict["scenario"])
    assert replayed.returncode == 0, replayed.stderr


def judged_dead(ship: Ship) -> dict:  # type: ignore[type-arg]
    assert ship.folder is not None
    told = ship.command("judge", ship.folder.name, "--json")
    assert told.returncode == 2, told.stderr
    verdict = json.loads(told.stdout)
    assert verdict["outcome"] == "inconclusive"
    return dict(verdict)


def test_judge_heal_and_report_refuse_a_run_that_goes_on(tmp_path: Path) -> None:
    ship = Ship(tmp_path / "ship", scenario="steady", sets={"length": "60s"}).start()
    ship.wait_stage("drive")
    assert ship.folder is not None
    for command in ("judge", "heal", "report"):
        told = ship.command(command, ship.folder.name)
        assert told.returncode == 64
        assert "is still going; wait for its end, or stop it" in told.stderr
    assert "going" in ship.command("ps").stdout
    ship.process.send_signal(signal.SIGTERM)
    assert ship.finish() == 130, ship.said


def test_the_guardian_alone_killed_changes_nothing_for_the_run(tmp_path: Path) -> None:
    ship = Ship(tmp_path / "ship", scenario="steady").start()
    ship.wait_stage("drive")
    assert ship.folder is not None
    guardian = ship.folder.read_conductor().guardian
    assert is_guardian_of(guardian, ship.folder.path)
    os.kill(guardian, signal.SIGKILL)
    assert ship.finish() == 0, ship.said
    assert not residue(ship)


# ---- during an installation ---------------------------------------------------------------------------------


def slow_index() -> socket.socket:
    """A package index that accepts connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.listen(50)
    return listener


def with_pypi(root: Path) -> Path:
    app = root / "app"
    shutil.copytree(VICTIM, app, ignore=shutil.ignore_patterns("__pycache__"))
    text = (app / "app.toml").read_text()
    text = text.replace('provider = "path"\npackage = "service.py"', 'provider = "pypi"\npackage = "radicale"')
    (app / "app.toml").write_text(text.replace('current = "1.0"', 'current = "3.9.0"'))
    return app


@pytest.mark.parametrize(("number", "moment_s"), moments("install", 4, 4.0))
def test_sigkill_during_an_installation(tmp_path: Path, number: int, moment_s: float) -> None:
    with slow_index() as index:
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        ship = Ship(tmp_path / "ship", app=with_pypi(tmp_path), env={"PIP_INDEX_URL": url, "PIP_RETRIES": "0"}).start()
        ship.wait_stage("install")
        time.sleep(moment_s)
        wreck: Wreck = kill_now(ship)
        assert wreck.situation == "install"
        assert not residue(ship, wreck.held)
        assert "conductor-died" in judged_dead(ship)["reason"]


def test_two_runs_of_one_plan_in_the_same_second_do_not_touch_each_other(tmp_path: Path) -> None:
    ships = [Ship(tmp_path / f"{number}").start() for number in range(4)]
    for ship in ships:
        ship.wait_fault("latency", "injected")
    kill_now(ships[0])
    assert ships[0].folder is not None
    assert ships[0].command("heal", ships[0].folder.name).returncode == 0
    for ship in ships[1:]:
        assert ship.finish() == 0, ship.said
        assert not residue(ship)
