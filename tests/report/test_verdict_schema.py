"""verdict.json keeps its contract: the committed schema is the generated one, and every verdict validates."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.report.schema import SCHEMA_FILE, schema_text, verdict_schema
from seatrial.verdict import Finding, Outcome, Verdict, decode, encode

CONTRACT = {  # the fields that users, CI and outside tools rely on
    "Verdict": "schema seatrial run app scenario runtime seed started ended outcome artefacts stages checks faults "
    "accounting teardown waivers environment",
    "ArtefactSeen": "name version digest observed",
    "StageResult": "name outcome started ended reason",
    "Finding": "name level claim outcome examined required observed limit reason evidence proof",
    "Proof": "planted caught",
    "FaultResult": "id kind target params planned injected verified healed gone recovered_s reason",
    "Accounting": "sent ok fail unknown in_flight",
    "Teardown": "clean residue",
}


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def document(verdict: Verdict) -> Any:
    return json.loads(encode(verdict))


def test_committed_schema_is_the_generated_one() -> None:
    committed = SCHEMA_FILE.read_text(encoding="utf-8")
    assert committed == schema_text(), "run python -m seatrial.report.schema and read the diff: it is a contract"


@pytest.mark.parametrize("name", CONTRACT)
def test_schema_requires_the_contract(name: str) -> None:
    made = verdict_schema()["$defs"][name]
    assert set(CONTRACT[name].split()) <= set(made["required"])


@pytest.mark.proves("S1-38", "S0-68")
@pytest.mark.parametrize("outcome", list(Outcome))
def test_verdicts_validate_and_come_back(outcome: Outcome) -> None:
    for verdict in (samples.verdict(outcome, waivers=(samples.WAIVER,)), samples.empty_verdict(outcome)):
        validator().validate(document(verdict))
        assert decode(encode(verdict)) == verdict


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("outcome",), "green"),
        (("schema",), 2),
        (("checks", 0, "level"), "warn"),
        (("checks", 0, "examined"), "many"),
        (("accounting", "sent"), None),
        (("started",), 17),
        (("teardown", "clean"), "yes"),
    ],
)
def test_a_wrong_value_does_not_validate(path: tuple[Any, ...], value: Any) -> None:
    made = document(samples.verdict())
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert not validator().is_valid(made)


@pytest.mark.parametrize("field", CONTRACT["Verdict"].split())
def test_a_missing_field_does_not_validate(field: str) -> None:
    made = document(samples.verdict())
    del made[field]
    assert not validator().is_valid(made)


@given(st.text(st.characters()))
@settings(max_examples=60, deadline=None)
def test_any_text_makes_a_valid_document(text: str) -> None:
    validator().validate(document(samples.odd_verdict(text)))


def test_what_json_cannot_hold_does_not_break_it() -> None:
    finding = Finding(
        name="a\ud800b",
        claim="c",
        outcome=Outcome.FAIL,
        examined=1,
        required=1,
        figures={"x": float("nan"), "y": float("inf"), "z": 2.5},
    )
    made = encode(samples.verdict(checks=(finding,)))
    assert decode(made).checks[0].figures == {"z": 2.5}
    assert decode(made).checks[0].name == "a\\ud800b"
    validator().validate(json.loads(made))


def test_what_is_no_verdict_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"outcome": "green"}')
