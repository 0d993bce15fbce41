"""The command line from outside: exit codes, data on stdout and talk on stderr, nothing heavy for help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial import kinds
from seatrial import plan as plans
from seatrial.cli import door

HEAVY = ("pyarrow", "duckdb", "bokeh", "numpy", "numba", "pydantic", "jinja2", "rich", "msgspec", "psutil", "asyncio")


def seatrial(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seatrial", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env}
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    made = seatrial("init", "shop", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout == "apps/shop\n"
    return tmp_path


@pytest.mark.parametrize(
    "module", ["seatrial.cli.door", "seatrial.cli.main", "seatrial.pytest_plugin", "seatrial.kinds"]
)
def test_the_door_imports_nothing_heavy(module) -> None:
    code = f"import sys; import pytest; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    if module != "seatrial.pytest_plugin":
        code = code.replace("import pytest; ", "")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.split(".")[0] for name in told.stdout.split()}
    assert not loaded & set(HEAVY), loaded & set(HEAVY)


def test_help_lists_what_is_built_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from seatrial.cli.door import run_command; code = run_command(['--help']);"
        "print('LOADED', *sys.modules); sys.exit(code)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    text, _, loaded = told.stdout.partition("LOADED")
    assert not {name.split(".")[0] for name in loaded.split()} & set(HEAVY)
    commands = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line.strip()]
    assert commands == [
        "checks",
        "doctor",
        "faults",
        "heal",
        "history",
        "init",
        "judge",
        "plan",
        "ps",
        "replay",
        "report",
        "run",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan"], "Missing argument 'APP'"),
        (["plan", "shop", "--sed", "3"], "No such option '--sed'"),
        (["plan", "shop", "--seed", "x"], "'x' is not a valid integer"),
        (["sail"], "No such command 'sail'"),
        (["plan", "shp"], "no app 'shp': neither a folder with app.toml nor a name under apps/; apps here: shop"),
        (["plan", "shop", "defalt"], "did you mean 'default'?"),
        (["plan", "shop", "--set", "users"], "--set: users: knob=value is wanted"),
        (["plan", "shop", "--set", "users=0", "--set", "x=1"], "2 mistakes"),
        (["plan", "shop", "--runtime", "podman"], "runtimes: process"),
        (["run", "shop", "--seed", "-1"], "a whole number from 0"),
        (["judge", "nothing"], "no run 'nothing'"),
        (["report", "nothing"], "no run 'nothing'"),
        (["replay", "nothing"], "no run 'nothing'"),
        (["heal", "nothing"], "no run 'nothing'"),
        (["init", "shop"], "is there already"),
        (["init", "3x"], "not fit for an app"),
    ],
)
def test_what_the_user_got_wrong_is_64_and_one_clear_text(shop: Path, arguments, says) -> None:
    told = seatrial(*arguments, cwd=shop)
    assert told.returncode == 64, told
    assert says in told.stderr
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
    assert not (shop / "runs").exists()


@pytest.mark.proves("S3P-18")
def test_plan_in_words(shop: Path) -> None:
    told = seatrial("plan", "shop", "--seed", "4", "--set", "users=9", cwd=shop)
    assert told.returncode == 0, told.stderr
    assert told.stderr.splitlines()[0] == "seed 4"
    for text in (
        "shop / default on process, seed 4",
        "service.py 1.0.0 from path",
        "9 users (users.py) for 20s: 40/s (constant), 800 arrivals in all",
        "f1   at      4s  kill web for 1s",
        "f3   at     14s  cut link:front for 1s",
        "exercised by: the users' ops; the read-back",
        "limits: min_examined 1",
        "users = 9  (--set)",
        "rate = 40/s  (default)",
        "any target of this plan; at most 1 at once",
        "drive  within 80s",
    ):
        assert text in told.stdout, text


def test_plan_as_json_is_the_plan_and_the_same_each_time(shop: Path) -> None:
    first = seatrial("plan", "shop", "--seed", "4", "--json", cwd=shop)
    assert first.stdout == seatrial("plan", "shop", "--seed", "4", "--json", cwd=shop).stdout
    plan = plans.decode(first.stdout.encode())
    assert (plan.app, plan.seed, len(plan.faults)) == ("shop", 4, 3)


def test_a_seed_is_chosen_and_said_first(shop: Path) -> None:
    said = [seatrial("plan", "shop", cwd=shop).stderr.splitlines()[0] for _ in range(2)]
    assert all(line.startswith("seed ") for line in said)
    assert said[0] != said[1]


@pytest.mark.proves("S3P-18", "H-5")
def test_plan_says_what_cannot_be_done_here(shop: Path) -> None:
    app = shop / "apps/shop/app.toml"
    app.write_text(app.read_text().replace('provider = "path"', 'provider = "npm"'))
    told = seatrial("plan", "shop", cwd=shop, PATH="/nowhere")
    assert told.returncode == 3
    assert "cannot be done here: artefact 'store' (npm) needs 'npm'" in told.stderr
    refused = seatrial("run", "shop", cwd=shop, PATH="/nowhere")
    assert refused.returncode == 3
    assert "install npm" in refused.stderr
    assert not (shop / "runs").exists()


def test_faults_lists_all_with_parameters_and_needs(tmp_path: Path) -> None:
    listed = json.loads(seatrial("faults", "--json", cwd=tmp_path).stdout)["faults"]
    assert [one["kind"] for one in listed] == list(kinds.FAULTS)
    latency = next(one for one in listed if one["kind"] == "latency")
    assert latency["targets"] == ["link"]
    assert latency["holds"] is True
    assert {"latency", "jitter"} <= {p["name"] for p in latency["params"]}
    text = seatrial("faults", cwd=tmp_path).stdout
    for one in listed:
        assert f"{one['kind']}  {one['summary']}" in text
        assert all(f"    {p['name']} ({p['kind']}" in text for p in one["params"])


def test_checks_lists_all_with_limits_and_needs(tmp_path: Path) -> None:
    listed = json.loads(seatrial("checks", "--json", cwd=tmp_path).stdout)["checks"]
    assert [one["kind"] for one in listed] == list(kinds.checks())
    durability = next(one for one in listed if one["kind"] == "durability")
    assert durability["needs"] == ["ops", "readback"]
    text = seatrial("checks", cwd=tmp_path).stdout
    assert all(f"{one['kind']}  {one['summary']}" in text for one in listed)


@pytest.mark.proves("S0-62", "S0-63")
def test_every_kind_in_the_tables_can_be_loaded_and_names_itself() -> None:
    for kind, fault in kinds.faults().items():
        assert kind == fault.KIND
        assert fault.SUMMARY
        assert set(fault.TARGETS) <= {"process", "link", "all"}
    for kind, check in kinds.checks().items():
        assert kind == check.kind
    for provider in kinds.PROVIDERS:
        assert callable(kinds.load(kinds.PROVIDERS[provider]))
        assert all(p.name for p in kinds.provider_params(provider))
    assert kinds.runtime("process")


def test_no_parameter_hides_behind_a_key_that_all_entries_share() -> None:
    from seatrial.config.scenario import CheckTable, FaultTable

    for fault in kinds.faults().values():
        assert not {p.name for p in fault.PARAMS} & set(FaultTable.model_fields), fault.KIND
    for check in kinds.checks().values():
        assert not {p.name for p in check.params} & set(CheckTable.model_fields), check.kind


def test_every_need_of_a_check_can_be_held_against_a_plan() -> None:
    from seatrial.config.build_app import AppParts
    from seatrial.config.build_scenario import ScenarioParts
    from seatrial.config.refuse import _MISSING, exercisers

    known = set(exercisers(AppParts(file="a"), ScenarioParts(file="s")))
    needs = {need for check in kinds.checks().values() for need in check.needs}
    assert needs <= known
    assert needs <= set(_MISSING)


def test_every_need_of_a_fault_is_probed() -> None:
    from seatrial.host import capabilities

    probed = {one.name for one in capabilities.probe()}
    assert {need for fault in kinds.faults().values() for need in fault.NEEDS} <= probed


def test_doctor_says_what_is_there_and_how_to_get_the_rest(tmp_path: Path) -> None:
    told = seatrial("doctor", cwd=tmp_path, PATH="/nowhere")
    assert told.returncode == 0
    assert "NO   npm" in told.stdout
    assert "to get it: install npm" in told.stdout
    listed = json.loads(seatrial("doctor", "--json", cwd=tmp_path).stdout)["capabilities"]
    assert {"name", "present", "used_for", "how", "detail"} == set(listed[0])


def test_nothing_runs_and_nothing_is_left(tmp_path: Path) -> None:
    assert seatrial("ps", cwd=tmp_path).stdout == "nothing is running, and nothing was left behind\n"
    assert json.loads(seatrial("ps", "--json", cwd=tmp_path).stdout) == {"runs": []}
    healed = seatrial("heal", cwd=tmp_path)
    assert (healed.returncode, healed.stdout) == (0, "nothing to heal\n")


@pytest.mark.proves("H-1")
def test_our_own_bug_is_70_with_a_short_text_and_a_saved_traceback(tmp_path, monkeypatch, capsys) -> None:
    from seatrial.cli import main

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(main.cli, "main", broken)
    assert door.run_command(["ps"]) == 70
    told = capsys.readouterr()
    (saved,) = (tmp_path / "seatrial").glob("crash-*.txt")
    assert "this is a bug of seatrial, not of your app: ZeroDivisionError: a bug" in told.err
    assert str(saved) in told.err
    assert "Traceback" not in told.err
    assert "ZeroDivisionError: a bug" in saved.read_text()


def test_ctrl_c_is_130(monkeypatch, capsys) -> None:
    from seatrial.cli import main

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main.cli, "main", interrupted)
    assert door.run_command(["ps"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m seatrial checks --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    told = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == 0
    assert "Traceback" not in told.stderr
    assert "BrokenPipe" not in told.stderr
