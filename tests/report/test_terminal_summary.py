"""The summary in a terminal, the golden texts of all reports, and what colour is and is not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.report.terminal import print_summary, summary_text, wrap
from seatrial.verdict import Outcome

FOLDER = Path("runs/r")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", sorted(samples.goldens()))
def test_golden(name: str) -> None:
    kept = (samples.GOLDEN / name).read_text(encoding="utf-8")
    assert samples.goldens()[name] == kept, "run python tests/report/report_samples.py and read the diff"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_eighty_columns_and_no_colour_codes(outcome: Outcome) -> None:
    text = summary_text(samples.verdict(outcome), samples.plan(), FOLDER)
    assert "\x1b" not in text
    wrapped = [line for line in text.split("\n") if "seatrial run " not in line]  # a command is to be copied whole
    assert max(map(len, wrapped)) <= 80
    word = {"pass": "PASS", "fail": "FAIL", "not-tested": "NOT TESTED", "inconclusive": "INCONCLUSIVE"}
    assert word.get(outcome.value, "ENVIRONMENT TROUBLE") in text.split("\n")[0]


@given(st.text(st.characters()))
@settings(max_examples=60, deadline=None)
def test_any_text_cannot_reach_the_terminal_as_control(text: str) -> None:
    made = summary_text(samples.odd_verdict(text), samples.plan(), FOLDER)
    assert not [c for c in made if ord(c) < 32 and c != "\n"]


def test_colour_only_on_a_terminal_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, colored, silenced = io.StringIO(), Terminal(), Terminal()
    print_summary(samples.verdict(), samples.plan(), FOLDER, plain)
    print_summary(samples.verdict(), samples.plan(), FOLDER, colored)
    monkeypatch.setenv("NO_COLOR", "1")
    print_summary(samples.verdict(), samples.plan(), FOLDER, silenced)
    assert "\x1b[1;31m" in colored.getvalue()
    assert plain.getvalue() == silenced.getvalue()
    assert "\x1b" not in plain.getvalue()


def test_a_terminal_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_summary(samples.verdict(), samples.plan(), FOLDER, stream)
    assert raw.getvalue().startswith(b"x FAIL  redis - kill")
    stream.close()


def test_report_path_and_commands_are_never_wrapped() -> None:
    folder = Path("/a/very/long/path") / ("x" * 120)
    text = summary_text(samples.verdict(), samples.plan(), folder)
    assert f"{folder}/report.html" in text
    assert "seatrial replay 20261121T031459Z-redis-kill-417" in text


def test_a_pass_with_a_waived_failure_does_not_say_that_everything_held() -> None:
    verdict = samples.verdict(Outcome.PASS, checks=(*samples.GOOD, samples.LOST), waivers=(samples.WAIVER,))
    lines = summary_text(verdict, samples.plan(), FOLDER).split("\n")
    assert lines[0].startswith("  waived    durability: snapshot mode")
    assert "Every gate check held, except durability (fail, waived)." in "\n".join(lines)


@given(st.text(st.sampled_from("ab \n"), max_size=300), st.integers(10, 40))
@settings(max_examples=100)
def test_wrap_keeps_the_width(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert 1 <= len(lines) <= 4
    assert all(len(line) <= width for line in lines)
