"""The run folder: names, collisions, `latest`, finding runs, plan and verdict files, and who is alive."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seatrial.errors import EnvironmentTrouble, UsageError
from seatrial.plan import Artefact, Knob, Plan
from seatrial.store.folder import RunFolder, find_run, list_runs, start_ticks
from seatrial.verdict import Finding, Outcome, Verdict

START = 1_795_000_000_000_000_000


class FixedClock:
    def __init__(self, second: int = 0) -> None:
        self.second = second

    def now_ns(self) -> int:
        return 1

    def wall_ns(self) -> int:
        return START + self.second * 1_000_000_000

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


def create(runs: Path, second: int = 0, app: str = "shop", seed: int = 7) -> RunFolder:
    return RunFolder.create(runs, FixedClock(second), app=app, scenario="storm", seed=seed)


def test_a_new_run_has_its_folders_and_is_the_latest(tmp_path: Path) -> None:
    run = create(tmp_path / "runs")
    assert run.name == "20261118T110640Z-shop-storm-7"
    assert sorted(p.name for p in run.path.iterdir()) == ["journal", "logs", "work"]
    assert find_run("latest", tmp_path / "runs") == run
    later = create(tmp_path / "runs", 1)
    assert find_run("latest", tmp_path / "runs") == later
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [run.name, later.name, "latest"]


@pytest.mark.proves("S0P-23", "S3P-13")
def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: create(tmp_path), range(40)))
    assert len({run.path for run in runs}) == 40
    assert all(run.journal.is_dir() for run in runs)
    assert find_run("latest", tmp_path) in runs
    assert len(list_runs(tmp_path)) == 40


def test_unfit_names_cannot_leave_the_runs_folder(tmp_path: Path) -> None:
    run = create(tmp_path / "runs", app="../../etc/pass wd")
    assert run.path.parent == (tmp_path / "runs").resolve()
    assert run.name.endswith("Z-.._.._etc_pass_wd-storm-7")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentTrouble, match="--out"):
        create(tmp_path / "file" / "runs")


def test_a_run_is_found_by_path_and_by_the_beginning_of_its_name(tmp_path: Path) -> None:
    one, two, other = create(tmp_path), create(tmp_path), create(tmp_path, 60)
    assert find_run(str(one.path)) == one
    assert find_run("20261118T110740", tmp_path) == other
    assert find_run(one.name, tmp_path) == one  # although the other name begins with it
    with pytest.raises(UsageError, match=f"2 runs .* {one.name}, {two.name}"):
        find_run("20261118T110640", tmp_path)
    with pytest.raises(UsageError, match="no run 'nope'"):
        find_run("nope", tmp_path)
    with pytest.raises(UsageError, match="no run 'latest'"):
        find_run("latest", tmp_path / "empty")


def test_plan_and_verdict_are_read_back(tmp_path: Path) -> None:
    run = create(tmp_path)
    plan = Plan(
        seatrial="1",
        app="shop",
        app_dir="/apps/shop",
        scenario="storm",
        runtime="process",
        seed=7,
        knobs=(Knob(name="users", value="3", origin="default"),),
        artefacts=(Artefact(name="a", provider="pypi", package="p", version="1"),),
    )
    verdict = Verdict(
        seatrial="1",
        run=run.name,
        app="shop",
        scenario="storm",
        runtime="process",
        seed=7,
        started=None,
        ended=None,
        outcome=Outcome.FAIL,
        checks=(Finding(name="c", claim="é", outcome=Outcome.FAIL, examined=3, required=1),),
    )
    run.write_plan(plan)
    run.write_verdict(verdict)
    run.write_verdict(verdict)
    assert run.read_plan() == plan
    assert run.read_verdict() == verdict
    assert sorted(p.name for p in run.path.iterdir()) == ["journal", "logs", "plan.json", "verdict.json", "work"]


def test_files_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    run = create(tmp_path)
    with pytest.raises(UsageError, match=r"no verdict\.json"):
        run.read_verdict()
    (run.path / "plan.json").write_text('{"seatrial": 3}')
    with pytest.raises(UsageError, match=r"plan\.json cannot be read"):
        run.read_plan()


CONDUCTOR = """
import sys
from pathlib import Path
from seatrial.clock import SystemClock
from seatrial.store.folder import RunFolder
RunFolder(Path(sys.argv[1])).write_conductor(SystemClock(), guardian=5)
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_run_is_alive_as_long_as_its_own_conductor(tmp_path: Path) -> None:
    run = create(tmp_path)
    assert not run.alive()
    command = [sys.executable, "-c", CONDUCTOR, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        conductor = run.read_conductor()
        assert (conductor.pid, conductor.guardian) == (process.pid, 5)
        assert conductor.start_ticks == start_ticks(process.pid)
        assert run.alive()
        process.kill()
        process.wait()
    assert not run.alive()
    # the pid was used again: another process of that pid is not the conductor
    text = (run.path / "conductor.json").read_text()
    run.write_conductor(FixedClock())
    assert run.alive()
    own = run.read_conductor()
    (run.path / "conductor.json").write_text(text.replace(f'"pid":{conductor.pid}', f'"pid":{own.pid}'))
    assert not run.alive()


def test_runs_of_one_name_in_different_folders_have_tags_of_their_own(tmp_path: Path) -> None:
    one, other = create(tmp_path / "a"), create(tmp_path / "b")
    assert one.name == other.name
    assert one.tag != other.tag
    assert RunFolder(one.path).tag == one.tag
    assert one.tag.startswith(one.name)
