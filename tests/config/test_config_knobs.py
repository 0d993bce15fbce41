"""Knobs: parsed, in range, shown as written, and never an empty text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.config.slo import slo_check
from seatrial.errors import UsageError
from seatrial.params import Kind, parse

SCENARIO = """
[scenario]
name = "default"
[knobs.users]
kind = "count"
default = 20
least = 1
most = 100
[knobs.length]
kind = "duration"
default = "60s"
least = "30s"
most = "8h"
[load]
users = "$users"
rate = "10/s"
length = "$length"
[[checks]]
kind = "durability"
"""
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.proves("S0-58")
@relaxed
@given(users=st.integers(-5, 200))
def test_a_count_is_in_range_or_refused(files, users) -> None:
    files.scenario(SCENARIO)
    if 1 <= users <= 100:
        plan = files.plan(sets={"users": str(users)})
        assert plan.load.users == users
        assert {k.name: (k.value, k.origin) for k in plan.knobs}["users"] == (str(users), "--set")
    else:
        (line,) = files.lines(sets={"users": str(users)})
        assert line.startswith(f'--set: users = "{users}": ')


@pytest.mark.proves("S0P-25")
@relaxed
@given(text=st.text(max_size=12))
def test_any_text_is_a_duration_in_range_or_one_clear_line(files, text) -> None:
    files.scenario(SCENARIO)
    try:
        seconds = parse(Kind.DURATION, text)
    except ValueError:
        seconds = -1.0
    if 30 <= seconds <= 8 * 3600:
        assert files.plan(sets={"length": text}).load.length_s == seconds
    else:
        (line,) = files.lines(sets={"length": text})
        assert line.startswith("--set: length")


@pytest.mark.proves("S0P-25")
def test_empty_is_a_mistake_and_not_unset(files) -> None:
    files.scenario(SCENARIO)
    assert files.lines(sets={"users": ""})[0].startswith("--set: users: must not be empty")
    files.scenario(SCENARIO.replace("default = 20", 'default = ""'))
    assert any("knobs.users.default: must not be empty" in line for line in files.lines())


def test_a_knob_without_default_must_be_set(files) -> None:
    files.scenario(SCENARIO.replace("default = 20\n", ""))
    (line,) = files.lines()
    assert "knobs.users: has no default and was not set; give --set users=..." in line
    assert files.plan(sets={"users": 3}).load.users == 3


def test_a_knob_may_not_be_declared_twice(files) -> None:
    files.scenario(SCENARIO)
    app = files.folder / "app.toml"
    app.write_text(app.read_text() + "[knobs.users]\nkind = 'count'\ndefault = 3\n")
    assert any("knobs.users: declared twice; the other one is in shop/app.toml" in line for line in files.lines())


@pytest.mark.parametrize("kind", ["text", "texts", "flag"])
def test_ranges_belong_to_quantities(files, kind) -> None:
    default = {"text": '"a"', "texts": '["a"]', "flag": "true"}[kind]
    bound = {"text": '"a"', "texts": '"a"', "flag": "true"}[kind]
    files.scenario(SCENARIO + f"[knobs.x]\nkind = '{kind}'\ndefault = {default}\nleast = {bound}\n")
    assert any("`least` and `most` mean nothing" in line for line in files.lines())


def test_kinds_replace_as_what_they_are(files) -> None:
    app = files.folder / "app.toml"
    app.write_text(
        app.read_text()
        .replace("forbidden = true", 'forbidden = "$strict"')
        .replace(
            "[processes.db]\n", '[processes.db]\nenv = { N = "$users", P = "{{ knob.length }}/{{ knob.users }}" }\n'
        )
        .replace('ports = ["sql"]', 'ports = "$ports"')
    )
    declared = "[knobs.strict]\nkind='flag'\ndefault=true\n[knobs.ports]\nkind='texts'\ndefault=['sql','ui']\n"
    files.scenario(SCENARIO + declared)
    plan = files.plan(sets={"strict": "no", "ports": "a,b"})
    assert plan.logs[0].forbidden is False
    assert plan.process("db").ports == ("a", "b")
    assert plan.process("db").env == {"N": "20", "P": "60s/20"}
    assert {k.name: k.value for k in plan.knobs}["ports"] == "a,b"


def test_a_knob_in_a_statement_is_left_for_the_start_and_must_be_there(files) -> None:
    app = files.folder / "app.toml"
    right = app.read_text()
    statement = "[processes.db]\nenv = { N = \"{% if knob.users == '20' %}x{% endif %}\" }\n"
    app.write_text(right.replace("[processes.db]\n", statement))
    files.scenario(SCENARIO)
    assert "knob.users" in files.plan().process("db").env["N"]
    app.write_text(right.replace("[processes.db]\n", statement.replace("knob.users", "knob.userz")))
    (line,) = files.lines()
    assert "processes.db.env.N" in line
    assert "did you mean 'users'" in line


def test_texts_that_only_look_like_knobs_stay(files) -> None:
    app = files.folder / "app.toml"
    app.write_text(app.read_text().replace("[processes.db]\n", '[processes.db]\nenv = { H = "$HOME", D = "a$b" }\n'))
    assert files.plan().process("db").env == {"H": "$HOME", "D": "a$b"}


@relaxed
@given(
    quantile=st.sampled_from(["p50", "p95", "p99", "p99.9"]),
    sign=st.sampled_from(["<", "<="]),
    ms=st.integers(1, 10_000),
    phase=st.sampled_from(["", " before", " during", " after", " outside"]),
    space=st.sampled_from(["", " ", "  "]),
)
def test_latency_objectives(quantile, sign, ms, phase, space) -> None:
    made = slo_check(f"{quantile}{space}{sign}{space}{ms}ms{phase}")
    assert made.kind == "latency"
    assert made.params["max"] == pytest.approx(ms / 1000)
    assert made.params["quantile"] == pytest.approx(float(quantile[1:]) / 100)
    assert made.params.get("phase", "") == phase.strip()


@pytest.mark.proves("S1P-7")
@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=20))
def test_any_other_text_is_refused_with_a_reason(text) -> None:
    try:
        made = slo_check(text)
    except ValueError as error:
        said = str(error)
    else:
        said = made.kind if made.kind in {"latency", "success_rate", "availability", "recovery"} else ""
    assert said


def test_sets_from_the_command_line_are_checked() -> None:
    from seatrial.cli.trial import parse_sets

    assert parse_sets(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(UsageError) as caught:
        parse_sets(["a", "=3", "b=1"])
    assert [m.key for m in caught.value.mistakes] == ["a", "=3"]
    with pytest.raises(UsageError, match="is set twice"):
        parse_sets(["a=1", "a=2"])
