"""The docs of app.toml and of scenarios name every key there is, and their examples are right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from seatrial.config import app, knobs, scenario, slo

DOCS = Path(__file__).parents[2] / "docs"


def tables(module) -> list[type[BaseModel]]:
    found = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, BaseModel)]
    return [v for v in found if v.__module__ == module.__name__ and v.model_fields]


@pytest.mark.proves("S3P-5")
@pytest.mark.parametrize(
    ("doc", "table"),
    [("app-toml.md", t) for t in tables(app)] + [("scenario.md", t) for t in [*tables(scenario), knobs.KnobTable]],
)
def test_every_key_is_in_the_docs(doc: str, table: type[BaseModel]) -> None:
    text = (DOCS / doc).read_text()
    words = set(re.findall(r"\w+", text))
    assert not [key for key in table.model_fields if key not in words], table.__name__


def test_every_section_is_in_the_docs() -> None:
    for doc, module in (("app-toml.md", app), ("scenario.md", scenario)):
        text = (DOCS / doc).read_text()
        assert not [s for s in module.SECTIONS if s not in text]


def test_the_example_and_every_objective_in_the_docs_are_right(files) -> None:
    text = (DOCS / "scenario.md").read_text()
    example = text.partition("```toml\n")[2].partition("```")[0]
    files.scenario(example)
    assert len(files.plan().checks) == 5
    assert tomllib.loads(example)["scenario"]["name"] == "default"
    forms = re.findall(r"`((?:p\d|success|gap|availability|recovery)[\w.]* [<>]=? [^`]+)`", text)
    assert len(forms) >= 7
    for form in forms:
        assert slo.slo_check(form)


def test_all_apps_and_victims_of_the_repository_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    from seatrial.config.build import Request, make_plan
    from seatrial.config.files import app_names

    root = DOCS.parent
    monkeypatch.chdir(root)
    folders = [root / "apps" / name for name in app_names()]
    folders += sorted(path.parent for path in (root / "tests" / "victims").glob("*/app.toml"))
    planned = 0
    for folder in folders:
        for path in sorted((folder / "scenarios").glob("*.toml")):
            made = make_plan(Request(app=folder, scenario=path.stem, seed=1))
            assert made.checks, path
            planned += 1
    assert planned > 0
