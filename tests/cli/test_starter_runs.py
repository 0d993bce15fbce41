"""What `seatrial init` writes runs green as it is, by command, from Python, in pytest; what breaks it is red."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.errors import UsageError
from seatrial.pytest_plugin import Trial

pytestmark = pytest.mark.real
QUICK = """
slo = ["recovery < 10s"]
[scenario]
name = "quick"
[load]
users = 3
rate = "30/s"
length = "6s"
via = "front"
timeout = "2s"
[[faults]]
kind = "kill"
target = "web"
at = "2s"
hold = "500ms"
[[checks]]
kind = "durability"
[[checks]]
kind = "faults"
[[checks]]
kind = "teardown"
"""


def seatrial(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seatrial", *arguments]
    env = {**os.environ, "SEATRIAL_CACHE": str(cwd / "cache")}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=150, check=False, env=env)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert seatrial("init", "shop", cwd=tmp_path).returncode == 0
    (tmp_path / "apps/shop/scenarios/quick.toml").write_text(QUICK)
    return tmp_path


@pytest.mark.proves("S3-138")
def test_it_is_green_as_it_is_and_can_be_judged_reported_and_replayed(shop: Path) -> None:
    done = seatrial("run", "shop", "--seed", "3", cwd=shop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.splitlines()[0] == "seed 3"
    assert "users = 5 (default)" in done.stderr
    verdict = json.loads((shop / "runs/latest/verdict.json").read_text())
    assert [f["kind"] for f in verdict["faults"]] == ["kill", "pause", "cut"]
    assert all(f["verified"] and f["gone"] for f in verdict["faults"])
    assert verdict["teardown"] == {"clean": True, "residue": []}

    judged = seatrial("judge", "latest", "--json", cwd=shop)
    assert judged.returncode == 0
    again = json.loads(judged.stdout)
    assert (again["outcome"], again["accounting"]) == ("pass", verdict["accounting"])

    page = shop / "runs/latest/report.html"
    page.unlink()
    told = seatrial("report", "latest", cwd=shop)
    assert told.returncode == 0
    assert any(line.endswith("report.html") for line in told.stdout.splitlines())
    assert page.stat().st_size > 10_000
    assert seatrial("ps", cwd=shop).stdout == "nothing is running, and nothing was left behind\n"


def test_a_replay_has_the_same_plan(shop: Path) -> None:
    done = seatrial("run", "shop", "quick", "--seed", "5", "--json", cwd=shop)
    assert done.returncode == 0, done.stdout + done.stderr
    first = json.loads(done.stdout)
    plan = (shop / "runs/latest/plan.json").read_bytes()
    replayed = seatrial("replay", "latest", "--json", cwd=shop)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    second = json.loads(replayed.stdout)
    assert (shop / "runs/latest/plan.json").read_bytes() == plan
    assert second["run"] != first["run"]
    assert [f["target"] for f in second["faults"]] == [f["target"] for f in first["faults"]]


def test_an_answer_before_the_write_turns_it_red(shop: Path) -> None:
    service = shop / "apps/shop/service.py"
    text = service.read_text()
    assert "        temporary.replace(self.item())\n" in text
    service.write_text(
        text.replace(
            "        temporary.replace(self.item())\n",
            "        if self.server.__dict__.setdefault('n', 0) % 10 != 9:\n"
            "            temporary.replace(self.item())\n"
            "        self.server.n += 1\n",
        )
    )
    done = seatrial("run", "shop", "quick", "--seed", "3", "--json", cwd=shop)
    assert done.returncode == 1, done.stdout + done.stderr
    durability = next(c for c in json.loads(done.stdout)["checks"] if c["name"] == "durability")
    assert durability["outcome"] == "fail"
    assert durability["evidence"]


@pytest.mark.proves("S1-2", "S1-37")
def test_from_python_and_in_pytest(shop: Path, seatrial_run) -> None:
    from seatrial import Scenario

    built = (
        Scenario("mine")
        .app("shop")
        .load(users=2, rate="20/s", length="4s")
        .fault("restart", target="web", at="1s")
        .check("durability")
        .check("faults")
    )
    done = built.run(seed=2, out=shop / "runs")
    assert done.verdict.outcome.value == "pass", done.verdict
    trial = seatrial_run(built, seed=2)
    trial.assert_pass()
    assert trial.check("durability").examined > 0
    with pytest.raises(KeyError, match="no check 'x'; there is: durability, faults"):
        trial.check("x")


@pytest.mark.seatrial("shop", "quick", seed=4)
def test_by_a_marker(shop: Path, request: pytest.FixtureRequest) -> None:
    trial: Trial = request.getfixturevalue("seatrial_trial")  # after `shop` has made the app
    trial.assert_pass()
    assert trial.verdict.seed == 4


def test_what_is_not_green_fails_the_test_with_its_reasons(shop: Path, seatrial_run) -> None:
    (shop / "apps/shop/scenarios/quick.toml").write_text(QUICK.replace('"recovery < 10s"', '"p50 < 1us"'))
    trial = seatrial_run("shop", "quick")
    with pytest.raises(pytest.fail.Exception, match="the trial came out"):
        trial.assert_pass()
    with pytest.raises(UsageError):
        seatrial_run("shop", "quick", rate="3")


@pytest.mark.proves("S3-7")
def test_ctrl_c_heals_tears_down_and_still_gives_a_verdict(shop: Path) -> None:
    command = [sys.executable, "-m", "seatrial", "run", "shop", "--seed", "3"]
    with subprocess.Popen(command, cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as going:
        assert going.stderr
        for line in going.stderr:
            if "drive" in line:
                break
        going.send_signal(signal.SIGINT)
        out, err = going.communicate(timeout=90)
    assert going.returncode == 130, out + err
    verdict = json.loads((shop / "runs/latest/verdict.json").read_text())
    assert verdict["outcome"] != "pass"
    assert verdict["teardown"]["clean"]
    assert seatrial("ps", cwd=shop).stdout == "nothing is running, and nothing was left behind\n"
