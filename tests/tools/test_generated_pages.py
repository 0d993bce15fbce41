"""docs/checks.md and docs/faults.md are what the tables of the code say."""

from __future__ import annotations

import pytest

from seatrial import kinds
from tools import generate, listings


def test_committed_pages_are_what_the_tables_say() -> None:
    assert generate.stale() == [], "run `make docs` and commit the pages"


@pytest.mark.parametrize(("page", "kind_names"), [("checks.md", kinds.checks), ("faults.md", kinds.faults)])
def test_every_kind_has_its_section_with_every_parameter(page: str, kind_names: object) -> None:
    text = generate.PAGES[page]()
    table = kind_names()  # type: ignore[operator]
    assert len(table) >= 12
    for kind, one in table.items():
        section = text.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        params = one.params if page == "checks.md" else one.PARAMS
        assert all(f"| `{param.name}` |" in section for param in params), kind


def test_it_is_said_what_each_check_examines() -> None:
    assert set(listings.EXAMINED) == set(kinds.checks())
