"""Every checker against its definition, on correct stores, with planted violations, and with meaningless changes."""

from __future__ import annotations

import pytest

from seatrial.judge.recorded_checks.selftesting import CASES, run


def _assert_sound(name: str, figures: dict[str, object]) -> None:
    assert figures["examples"] == []
    assert (figures["disagreed"], figures["accused"], figures["changed"]) == (0, 0, 0), (name, figures)
    assert figures["caught"] == figures["planted"]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_checker_agrees_with_its_definition_and_catches_what_is_planted(name: str) -> None:
    figures = run((name,), 300, seed=7_000_000)[name]
    assert figures["compared"] == 300
    assert figures["bad"] >= 2, "the damage must make bad histories, or nothing is compared"
    assert figures["planted"] >= 3
    assert figures["metamorphic"] >= 9
    _assert_sound(name, figures)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_checker_agrees_with_its_definition_on_a_hundred_thousand_histories(name: str) -> None:
    figures = run((name,), 100_000, seed=1)[name]
    assert figures["compared"] == 100_000
    _assert_sound(name, figures)


def test_every_model_of_these_checkers_has_a_selftest() -> None:
    from seatrial.judge.models import MODELS

    here = {name for name, model in MODELS.items() if "recorded_checks" in model.check}
    assert here == set(CASES)
