"""docs/requirements.md is what the tests say: every id once, nothing overstated, no claim of an unknown row."""

from __future__ import annotations

import re
from pathlib import Path

from tools import requirements

ROWS = {"S0": 79, "S0P": 53, "S1": 51, "S1P": 31, "S2": 50, "S2P": 28, "S3": 143, "S3P": 22, "S4": 32, "H": 25}
EXAMPLE = '''
import pytest
pytestmark = [pytest.mark.real, pytest.mark.proves("S0-1")]

@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.proves("S0-2"))])
@pytest.mark.proves("S0-3", "S0-4")
def test_one(x):
    """proves("S0-9") in a text is no marker."""

class TestMore:
    @pytest.mark.proves("S0-3")
    async def test_two(self): ...

def helper(): ...
'''
JUNIT = """<testsuites><testsuite>
<testcase classname="tests.part.test_a" name="test_good[1]"/>
<testcase classname="tests.part.test_a" name="test_good[2]"/>
<testcase classname="tests.part.test_a.TestX" name="test_bad[1]"/>
<testcase classname="tests.part.test_a.TestX" name="test_bad[2]"><failure/></testcase>
<testcase classname="tests.part.test_a" name="test_skipped"><skipped/></testcase>
</testsuite></testsuites>"""


def test_every_row_is_there_once_with_a_few_words_of_its_own() -> None:
    groups = requirements.words()
    assert {group: len(rows) for group, rows in groups.items()} == ROWS
    for group, rows in groups.items():
        assert [*rows] == [f"{group}-{number}" for number in range(1, len(rows) + 1)]
        assert all(2 <= len(what.split()) <= 9 for what in rows.values())
    said = [what for rows in groups.values() for what in rows.values()]
    assert len(set(said)) == len(said) == 489 + 25


def test_the_committed_page_is_what_the_tests_say() -> None:
    found, page = requirements.claims(), requirements.PAGE.read_text()
    expected = requirements.render(requirements.words(), found, requirements.committed_red(page, found))
    assert page == expected, "run `make docs` and commit docs/requirements.md"
    ids = re.findall(r"^\| (\S+-\d+) \|", page, re.M)
    assert len(ids) == len(set(ids)) == 489 + 25


def test_no_test_claims_a_row_that_is_not_there() -> None:
    known = [one for rows in requirements.words().values() for one in rows]
    found = requirements.claims()
    assert len(found) > 20
    assert requirements.unknown(found, known) == []
    wrong = requirements.Claim("part/test_a.py::test_x", ("S0-1", "S0-999"))
    assert requirements.unknown([wrong], known) == ["part/test_a.py::test_x claims 'S0-999', which is no requirement"]


def test_markers_are_read_from_functions_classes_params_and_modules(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "test_a.py").write_text(EXAMPLE)
    assert requirements.claims(tmp_path) == [
        requirements.Claim("part/test_a.py::test_one", ("S0-1", "S0-2", "S0-3", "S0-4")),
        requirements.Claim("part/test_a.py::test_two", ("S0-1", "S0-3")),
    ]


def test_a_row_whose_tests_did_not_all_pass_is_open(tmp_path: Path) -> None:
    assert requirements.passed(tmp_path) is None
    (tmp_path / "unit.xml").write_text(JUNIT)
    results = requirements.passed(tmp_path)
    assert results == {
        "part/test_a.py::test_good": True,
        "part/test_a.py::test_bad": False,
        "part/test_a.py::test_skipped": False,
    }
    found = [
        requirements.Claim("part/test_a.py::test_good", ("S0-1",)),
        requirements.Claim("part/test_a.py::test_bad", ("S0-1", "S0-2")),
        requirements.Claim("part/test_a.py::test_skipped", ("S0-3",)),
        requirements.Claim("part/test_a.py::test_new", ("S0-4",)),
    ]
    assert requirements.not_passed(found, results) == {"S0-2", "S0-3"}
    assert requirements.not_passed(found, None) == set()


def test_a_page_may_understate_and_never_overstate() -> None:
    groups = {"S0": {"S0-1": "first words here", "S0-2": "second words here"}}
    claim = [requirements.Claim("test_a.py::test_x", ("S0-1",))]
    honest = requirements.render(groups, claim, set())
    assert "1 done, 1 open" in honest
    careful = requirements.render(groups, claim, {"S0-1"})
    assert requirements.render(groups, claim, requirements.committed_red(careful, claim)) == careful
    boast = honest.replace("| S0-2 | second words here | open |", "| S0-2 | second words here | done |")
    assert boast != honest
    assert requirements.render(groups, claim, requirements.committed_red(boast, claim)) != boast
