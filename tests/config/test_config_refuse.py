"""What could prove nothing is refused at plan time, with the reason (rule 11 of the design)."""

from __future__ import annotations

import pytest

from seatrial.config.refuse import lacking

SCN = "shop/scenarios/default.toml"


@pytest.mark.proves("S0P-22", "S0P-24", "H-5")
@pytest.mark.parametrize(
    ("old", "new", "key", "holds"),
    [
        ('at = "10s"', 'at = "60s"', "faults[0].at", "is not before the length (60s)"),
        ('at = "10s"', 'at = ["10s", "58s"]', "faults[0].hold", "no user would see the recovery"),
        ('at = "10s"', 'every = "70s"', "faults[0]", "can never fire"),
        ('at = "10s"', 'every = "20s"\ncount = 9', "faults[0].count", "only 2 fit"),
        ('at = "10s"', 'every = "3s"', "faults[0].hold", "must be shorter than `every`"),
        ('at = "10s"\nhold = "3s"', 'flap = "58s,3s"', "faults[0]", "can never fire"),
        ('at = "10s"', 'storm = "70s,80s"', "faults[0]", "can never fire"),
        ('at = "10s"', "ops = 3000", "faults[0].ops", "never happens: the load makes 3000 arrivals"),
        ('at = "10s"', 'stage = "ready"', "faults[0].stage", "from drive until heal only"),
        ('at = "10s"', 'stage = "restart"', "faults[0].stage", "not in the plan"),
        ('at = "10s"', 'stage = "drive"\nat = "59s"', "faults[0]", "does not end within"),
        ('hold = "3s"', 'hold = "2s"', "faults[0].hold", "over before the app notices (web detects = 2s)"),
        ('hold = "3s"', 'hold = "3s"\nup_by = "policy"', "faults[0].up_by", 'restart is "never"'),
        (
            "",
            "[blast_radius]\nin_all = 1\n[[faults]]\nkind='kill'\ntarget='db'\nat='30s'\nhold='1s'",
            "blast_radius",
            "2",
        ),
        ("", "[blast_radius]\ntargets = ['db']", "faults[0].target", "outside blast_radius.targets"),
        ("", "[[faults]]\nkind = 'kill'\ntarget = 'db'\nat = '11s'\nhold = '3s'", "blast_radius.at_once", "at once"),
        (
            "",
            "[[checks]]\nkind = 'logs'\nlevel = 'gate'\n[stages]\norder = ['install', 'teardown']",
            "stages.order",
            "",
        ),
    ],
)
def test_a_fault_that_shows_nothing_is_refused(bend, old, new, key, holds) -> None:
    lines = bend("scenario", old, new).lines()
    assert lines[0].startswith(f"{SCN}: {key}"), lines
    assert holds in lines[0]


def test_a_short_hold_on_purpose_is_allowed(bend) -> None:
    assert bend("scenario", 'hold = "3s"', 'hold = "1s"\nshort = true').plan().faults[0].hold_s == 1.0


def test_allowed_overlap_is_planned(bend) -> None:
    overlap = "[[faults]]\nkind='kill'\ntarget='db'\nat='11s'\nhold='3s'\n[blast_radius]\nat_once = 2"
    assert len(bend("scenario", "", overlap).plan().faults) == 2


@pytest.mark.proves("H-5")
@pytest.mark.parametrize(
    ("which", "old", "new", "check", "why"),
    [
        ("app", '[probes.health]\nto = "web.http"\n', "", "checks[1]", "the app has no [probes.<name>]"),
        ("scenario", '[[checks]]\nkind = "recovery"', "[[checks]]\nkind = 'reactions'\nx = 1", "checks[1].x", ""),
        ("app", '[[logs]]\nname = "oops"\npattern = "Traceback"\nforbidden = true\n', "", "", ""),
        (
            "scenario",
            '[[faults]]\nkind = "kill"\ntarget = "web"\nat = "10s"\nhold = "3s"\n',
            "",
            "checks[1]",
            "the scenario has no [[faults]]",
        ),
        (
            "scenario",
            "",
            "[stages]\norder = ['install', 'ready', 'drive', 'heal', 'quiesce', 'teardown']",
            "checks[0]",
            "the stage readback is not in the plan",
        ),
        ("app", '[users]\nmodule = "users.py"\n', "", "checks[0]", "or the app no [users]"),
    ],
)
def test_a_check_that_nothing_exercises_is_refused(bend, which, old, new, check, why) -> None:
    files = bend(which, old, new)
    if not check:
        files = bend("scenario", 'kind = "recovery"', 'kind = "logs"')
        check, why = "checks[1]", "the app has no [[logs]]"
    lines = files.lines()
    assert any(f"{check}" in line and why in line for line in lines), lines


@pytest.mark.proves("S1P-8")
@pytest.mark.parametrize("how", ["none", "report"])
def test_a_plan_without_a_gate_is_refused(files, how) -> None:
    text = (files.folder / "scenarios/default.toml").read_text()
    head, _, tail = text.partition("[[checks]]")
    tail = tail.replace('"\n', '"\nlevel = "report"\n')
    files.scenario(head + (f"[[checks]]{tail}" if how == "report" else ""))
    (line,) = files.lines()
    assert "checks: there is no check at gate level, so this run could never pass" in line


def test_what_the_machine_lacks_is_said_with_the_way_to_get_it(files, monkeypatch) -> None:
    files.app((files.folder / "app.toml").read_text().replace('"pypi"', '"npm"'))
    plan = files.plan()
    monkeypatch.setenv("PATH", "/nowhere")
    lacks = lacking(plan)
    assert any("artefact 'shop' (npm) needs 'npm'" in line and "install npm" in line for line in lacks), lacks


def test_a_plan_that_needs_nothing_special_lacks_nothing(files) -> None:
    assert lacking(files.plan()) == []
