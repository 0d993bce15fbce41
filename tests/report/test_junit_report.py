"""junit.xml: well-formed for any text, and mapped so that no reader takes it for greener than it is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter

import msgspec
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.report.junit import junit
from seatrial.verdict import Level, Outcome, StageResult, Verdict


def parsed(verdict: Verdict) -> ET.Element:
    return ET.fromstring(junit(verdict, samples.plan()))


def case(root: ET.Element, name: str) -> ET.Element:
    return next(c for c in root.iter("testcase") if c.get("name") == name)


def colour(element: ET.Element) -> str:
    found = [tag for tag in ("failure", "error", "skipped") if element.find(tag) is not None]
    assert len(found) <= 1
    return found[0] if found else "passed"


@pytest.mark.proves("S0P-37")
def test_counts_names_and_times() -> None:
    root = parsed(samples.verdict())
    suite = root.find("testsuite")
    assert suite is not None
    cases = list(root.iter("testcase"))
    assert [c.get("name") for c in cases[:4]] == ["verdict", "stage install", "stage drive", "stage quiesce"]
    assert {c.get("classname") for c in cases} == {"seatrial.redis.kill"}
    colours = Counter(colour(c) for c in cases)
    for holder in (root, suite):
        assert int(holder.get("tests", "")) == len(cases)
        assert int(holder.get("failures", "")) == colours["failure"] == 2  # the verdict and durability
        assert int(holder.get("errors", "")) == colours["error"] == 0
        assert int(holder.get("skipped", "")) == colours["skipped"] == 1
    assert case(root, "stage drive").get("time") == "90.000"
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert properties["seed"] == "417"
    assert properties["outcome"] == "fail"


@pytest.mark.parametrize(
    ("outcome", "level", "expected"),
    [
        (Outcome.PASS, Level.GATE, "passed"),
        (Outcome.FAIL, Level.GATE, "failure"),
        (Outcome.ENVIRONMENT, Level.GATE, "error"),
        (Outcome.INCONCLUSIVE, Level.GATE, "error"),
        (Outcome.NOT_TESTED, Level.GATE, "skipped"),
        (Outcome.FAIL, Level.REPORT, "skipped"),
        (Outcome.PASS, Level.REPORT, "passed"),
    ],
)
def test_map_of_checks(outcome: Outcome, level: Level, expected: str) -> None:
    finding = msgspec.structs.replace(samples.LOST, outcome=outcome, level=level)
    element = case(parsed(samples.verdict(checks=(finding,))), "check durability")
    assert colour(element) == expected
    if expected != "passed":
        message = element[0].get("message", "")
        assert outcome.value in message
        assert "7,412" in message


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.PASS])
def test_a_run_that_did_not_pass_is_red_in_every_reader(outcome: Outcome) -> None:
    verdict = samples.empty_verdict(outcome)
    expected = "failure" if outcome is Outcome.FAIL else "error"
    assert colour(case(parsed(verdict), "verdict")) == expected


def test_a_waived_failure_is_skipped_with_its_reason_until_it_expires() -> None:
    live = parsed(samples.verdict(waivers=(samples.WAIVER,)))
    element = case(live, "check durability")
    assert colour(element) == "skipped"
    assert "waived by ada until 2027-01-31" in element[0].get("message", "")
    expired = msgspec.structs.replace(samples.WAIVER, expired=True)
    assert colour(case(parsed(samples.verdict(waivers=(expired,))), "check durability")) == "failure"


def test_equal_names_are_told_apart() -> None:
    stage = StageResult(name="restart", outcome=Outcome.PASS)
    root = parsed(samples.verdict(stages=(stage, stage, stage)))
    names = [c.get("name") for c in root.iter("testcase")]
    assert names[1:4] == ["stage restart", "stage restart #02", "stage restart #03"]
    assert len(set(names)) == len(names)


def test_the_same_verdict_gives_the_same_text() -> None:
    assert junit(samples.verdict(), samples.plan()) == junit(samples.verdict(), samples.plan())


def test_replay_and_evidence_are_in_it() -> None:
    root = parsed(samples.verdict())
    assert "seatrial replay 20261121T031459Z-redis-kill-417" in case(root, "verdict").findtext("system-out", "")
    body = case(root, "check durability").findtext("failure", "")
    assert "expected value-31" in body
    assert "<script>alert(1)</script>" in body  # escaped in the file, whole again when parsed


@given(st.text(st.characters()))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_well_formed_xml(text: str) -> None:
    root = parsed(samples.odd_verdict(text))
    assert root.tag == "testsuites"
    assert len(list(root.iter("testcase"))) == 1 + 1 + 3


def test_control_characters_are_shown_as_escapes() -> None:
    root = parsed(samples.odd_verdict("a\x00b\x1b[31mc\ufffed"))
    body = "".join(e.text or "" for e in root.iter("failure"))
    assert r"a\x00b\x1b[31mc\ufffed" in body
