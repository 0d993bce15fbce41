"""Writes docs/requirements.md: every requirement, its state, and the tests that claim it. `--check` compares only.

The words are data (requirements_words.toml). The state is computed: a row is done when a test carries
`@pytest.mark.proves("ID")` and at least one such test passed in the last full run, if there was one here.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "requirements.md"
WORDS = Path(__file__).parent / "requirements_words.toml"
RESULTS = ROOT / ".results"  # pytest's own JUnit files of the last `make test`; not part of the repository
EXTRA = "H"  # going beyond: shown, and not part of the total
_ROW = re.compile(r"^\| (\S+-\d+) \| .* \| (done|open) \| .* \|$", re.M)


@dataclass(frozen=True, slots=True)
class Claim:
    """A test that says which rows it proves. test: file and name, relative to tests/."""

    test: str
    ids: tuple[str, ...]


def words(path: Path = WORDS) -> dict[str, dict[str, str]]:
    """Return group -> id -> a few words."""
    with path.open("rb") as file:
        return tomllib.load(file)


def claims(tests: Path = ROOT / "tests") -> list[Claim]:
    """Return every claim below a folder, by reading the files; nothing is imported."""
    return [claim for path in sorted(tests.rglob("test_*.py")) for claim in _of_file(path, tests)]


def unknown(found: Iterable[Claim], known: Iterable[str]) -> list[str]:
    """Return a sentence for each claimed id that is not there."""
    there = set(known)
    return [
        f"{claim.test} claims {one!r}, which is no requirement"
        for claim in found
        for one in claim.ids
        if one not in there
    ]


def passed(folder: Path = RESULTS) -> dict[str, bool] | None:
    """Return test -> whether all its cases passed (a skip is no pass), from the JUnit files. None: there are none."""
    found: dict[str, bool] = {}
    for path in sorted(folder.glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            name = _test_of(case.get("classname", ""), case.get("name", ""))
            good = not any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))
            found[name] = found.get(name, True) and good
    return found or None


def not_passed(found: Iterable[Claim], results: Mapping[str, bool] | None) -> set[str]:
    """Return the claimed rows none of whose tests passed. A test that is not in the results is believed."""
    state: dict[str, bool] = {}
    for claim in found:
        good = (results or {}).get(claim.test, True)
        for one in claim.ids:
            state[one] = state.get(one, False) or good
    return {one for one, good in state.items() if not good}


def render(groups: Mapping[str, Mapping[str, str]], found: Iterable[Claim], red: set[str]) -> str:
    """Return the page. red: claimed rows that are open all the same, because their tests did not pass."""
    by_id: dict[str, list[str]] = {}
    for claim in found:
        for one in claim.ids:
            by_id.setdefault(one, []).append(claim.test)
    done = {one for one in by_id if one not in red}
    return "\n".join([*_head(groups, done), *_sections(groups, by_id, done)]) + "\n"


def committed_red(page: str, found: Iterable[Claim]) -> set[str]:
    """Return the rows that the page shows as open although they are claimed: a page may understate, never overstate."""
    claimed = {one for claim in found for one in claim.ids}
    return {row for row, state in _ROW.findall(page) if state == "open" and row in claimed}


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the page. Returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.requirements", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed page, write nothing")
    options = parser.parse_args(arguments)
    groups, found = words(), claims()
    mistakes = unknown(found, [one for rows in groups.values() for one in rows])
    if mistakes:
        print("\n".join(mistakes), file=sys.stderr)
        return 1
    page = render(groups, found, not_passed(found, passed()))
    if not options.check:
        PAGE.write_text(page)
    elif not PAGE.exists() or PAGE.read_text() != page:
        print("docs/requirements.md is not what the tests say: run `make docs` and commit it", file=sys.stderr)
        return 1
    print(page.split("\n\n")[1])
    return 0


def _of_file(path: Path, tests: Path) -> Iterator[Claim]:
    tree, where = ast.parse(path.read_text()), path.relative_to(tests).as_posix()
    whole = _marks(node.value for node in tree.body if isinstance(node, ast.Assign) and _is_pytestmark(node))
    yield from _of_body(tree.body, where, whole)


def _of_body(body: Iterable[ast.stmt], where: str, above: tuple[str, ...]) -> Iterator[Claim]:
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _of_body(node.body, where, above + _marks(node.decorator_list))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            ids = above + _marks(node.decorator_list)
            if ids:
                yield Claim(f"{where}::{node.name}", tuple(dict.fromkeys(ids)))


def _is_pytestmark(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


def _marks(nodes: Iterable[ast.expr]) -> tuple[str, ...]:
    """Return the ids of the `proves` markers among the nodes (also inside a list of marks, or a pytest.param)."""
    found: list[str] = []
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "proves":
            found += [str(ast.literal_eval(argument)) for argument in node.args]
    return tuple(found)


def _test_of(classname: str, name: str) -> str:
    pieces = classname.split(".")
    pieces = pieces[1:] if pieces[0] == "tests" else pieces
    while pieces and pieces[-1].startswith("Test"):
        pieces.pop()
    return "/".join(pieces) + ".py::" + name.partition("[")[0]


def _head(groups: Mapping[str, Mapping[str, str]], done: set[str]) -> list[str]:
    counted = [one for name, rows in groups.items() if name != EXTRA for one in rows]
    lines = [
        "# Requirements",
        "",
        f"{len(counted)} requirements: {_of(counted, done)}.",
        "",
        "Generated by `make docs`; do not edit. A row is done when a test carries its id; where the last `make test`",
        "left results, that test must have passed, too. Each row is a reminder in a few words, with a permanent id.",
        "",
        "| group | rows | done | open |",
        "|---|---:|---:|---:|",
    ]
    for name, rows in groups.items():
        ready = len(done.intersection(rows))
        lines.append(f"| {_title(name)} | {len(rows)} | {ready} | {len(rows) - ready} |")
    return lines


def _of(rows: Iterable[str], done: set[str]) -> str:
    all_rows = list(rows)
    ready = len(done.intersection(all_rows))
    return f"{ready} done, {len(all_rows) - ready} open"


def _title(name: str) -> str:
    return f"{name} (beyond; not in the total)" if name == EXTRA else name


def _sections(groups: Mapping[str, Mapping[str, str]], by_id: Mapping[str, list[str]], done: set[str]) -> Iterator[str]:
    for name, rows in groups.items():
        yield from (
            "",
            f"## {_title(name)}",
            "",
            f"{_of(rows, done)}",
            "",
            "| id | what | state | tests |",
            "|---|---|---|---|",
        )
        for one, what in rows.items():
            tests = "<br>".join(f"`{test}`" for test in by_id.get(one, ())) or "-"
            yield f"| {one} | {what} | {'done' if one in done else 'open'} | {tests} |"


if __name__ == "__main__":
    sys.exit(main())
