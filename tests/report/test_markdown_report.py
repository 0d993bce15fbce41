"""report.md: the verdict first, nothing of an evidence text is markup, and never longer than a forge takes."""

from __future__ import annotations

import msgspec
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.plan import Knob
from seatrial.report.markdown import MOST_CHARACTERS, block, code, escape, markdown
from seatrial.verdict import Level, Outcome


def text_of(verdict: object) -> str:
    return markdown(verdict, samples.plan(), samples.history())  # type: ignore[arg-type]


@pytest.mark.proves("S1-39")
def test_verdict_comes_first_and_everything_is_there() -> None:
    text = text_of(samples.verdict())
    assert text.startswith("# ✘ Fail: redis / kill")
    order = ["212 of 7,412", "## Not shown", "leak-memory", "## Findings", "## Faults", "## Again", "seatrial replay"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    for word in ("user-12/key", "value-31", "`F1 kill redis`", "sha256:9f2c41aa", "length", "Debian 12"):
        assert word in text


def test_waivers_come_before_the_verdict() -> None:
    text = text_of(samples.verdict(Outcome.PASS, waivers=(samples.WAIVER,)))
    assert text.startswith("> **Waivers**")
    assert text.index("2027-01-31") < text.index("# ✔ Pass")


@pytest.mark.proves("S0P-17")
def test_what_was_not_tested_is_said() -> None:
    text = text_of(samples.verdict(Outcome.PASS))
    assert "**check leak-memory**: 90 s of samples, 7,200 s are needed" in text
    assert "○ not-tested" in text


@pytest.mark.parametrize("count", [50, 1000, 6000])
def test_never_too_long_and_what_was_cut_is_said(count: int) -> None:
    checks = tuple(msgspec.structs.replace(samples.LOST, name=f"check-{i}", level=Level.GATE) for i in range(count))
    text = text_of(samples.verdict(checks=checks))
    assert len(text) <= MOST_CHARACTERS
    if count > 50:
        assert "more checks are in verdict.json" in text


def test_texts_without_end_are_cut_at_whole_sections() -> None:
    long = "@x " * 5_000
    knobs = tuple(Knob(name=long, value=long, origin="--set") for _ in range(40))
    plan = msgspec.structs.replace(samples.plan(), knobs=knobs)
    text = markdown(samples.odd_verdict(long), plan, samples.history())
    assert len(text) <= MOST_CHARACTERS
    assert text.count("```") % 2 == 0
    assert text.count("<details>") == text.count("</details>")


@given(st.text(st.characters()))
@settings(max_examples=60, deadline=None)
def test_any_text_stays_within_bounds_and_tables_keep_their_columns(text: str) -> None:
    made = text_of(samples.odd_verdict(text))
    assert len(made) <= MOST_CHARACTERS
    lines = made.split("\n")
    head = next(i for i, line in enumerate(lines) if line.startswith("| | check |"))
    pipes = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines[head : head + 5]]
    assert len(set(pipes)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>x</b>", r"\<b\>x\</b\>"),
        ("a|b", r"a\|b"),
        ("@ada", "@<!-- -->ada"),
        ("- not a list", r"\- not a list"),
        ("1. not one", r"1\. not one"),
        ("not-tested (a, b)", "not-tested (a, b)"),
        ("two\nlines", "two lines"),
    ],
)
def test_escape(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_code_and_blocks_hold_backticks() -> None:
    assert code("a`b") == "``a`b``"
    assert code("`") == "`` ` ``"
    assert code("") == ""
    assert block("a\n```\nb").startswith("````\n")
