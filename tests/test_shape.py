"""The shape of the code, held by a test: layers, cycles, purity, lengths, banned calls, public names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "seatrial"

LAYERS = [  # lowest first; names in one row are strangers to each other
    {"errors", "clock", "params", "undo"},
    {"history", "verdict"},
    {"plan"},
    {"ports", "judge", "generate", "formats"},
    {"store", "host"},
    {"artefacts", "runtimes", "clients", "faults", "observe", "engine"},
    {"crew"},
    {"kinds"},
    {"config", "report"},
    {"run", "judging"},
    {"testing", "scenario"},
    {"cli", "pytest_plugin"},
    {"__main__", "__init__"},
]
PURE = {"history", "verdict", "plan", "params", "undo", "judge", "generate", "formats"}
IMPURE = {"asyncio", "os", "random", "socket", "subprocess", "threading", "time", "pathlib", "logging", "tempfile"}
FUNCTION_LINES = 60
MODULE_LINES = 400
PUBLIC_NAMES_MOST = 20


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def row_of(part: str) -> int:
    for row, names in enumerate(LAYERS):
        if part in names:
            return row
    raise AssertionError(f"{part!r} is in no layer: add it to LAYERS, and say why in ARCHITECTURE.md")


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import at line {node.lineno}"
            yield node.module or "", node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def layer_faults(part: str, tree: ast.AST, where: str) -> list[str]:
    faults = []
    for name, line in imported(tree):
        pieces = name.split(".")
        if pieces[0] != "seatrial" or len(pieces) < 2:
            continue
        other = pieces[1]
        if not (SOURCE / other).is_dir() and not (SOURCE / f"{other}.py").exists():
            continue
        if other != part and row_of(other) >= row_of(part):
            faults.append(f"{where}:{line}: {part} imports {other}, which is not below it")
    return faults


def purity_faults(part: str, tree: ast.AST, where: str) -> list[str]:
    if part not in PURE:
        return []
    roots = {(name.split(".")[0], line) for name, line in imported(tree)}
    return [f"{where}:{line}: {part} is pure but imports {root}" for root, line in sorted(roots) if root in IMPURE]


def length_faults(tree: ast.AST, lines: int, where: str) -> list[str]:
    faults = [f"{where}: {lines} lines, {MODULE_LINES} are allowed"] if lines > MODULE_LINES else []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                faults.append(f"{where}:{node.lineno}: {node.name} has {length} lines, {FUNCTION_LINES} are allowed")
    return faults


TIME_ALLOWED = {"clock", "crew", "observe"}  # these measure; they read CLOCK_MONOTONIC of the run's one clock
TIME_CALLS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}


def banned_calls(part: str, tree: ast.AST, where: str) -> list[str]:
    faults = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        name = node.func.attr
        if owner == "time" and name in TIME_CALLS and part not in TIME_ALLOWED:
            faults.append(f"{where}:{node.lineno}: time.{name}() outside the clock; take a Clock")
        if owner in ("datetime", "date") and name in ("now", "utcnow", "today"):
            faults.append(f"{where}:{node.lineno}: {owner}.{name}(); take a Clock")
        if owner == "random" and name != "Random":
            faults.append(f"{where}:{node.lineno}: random.{name}(); take a seeded random.Random")
    return faults


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_module_keeps_the_rules(path: Path) -> None:
    text = path.read_text()
    tree, part, where = ast.parse(text), part_of(path), str(path.relative_to(SOURCE))
    faults = layer_faults(part, tree, where) + purity_faults(part, tree, where)
    faults += length_faults(tree, text.count("\n"), where) + banned_calls(part, tree, where)
    assert ast.get_docstring(tree), f"{where}: say in the first line what the module is for"
    assert not faults, "\n".join(faults)


def graph() -> dict[str, set[str]]:
    edges: dict[str, set[str]] = {}
    names = {".".join(("seatrial", *p.relative_to(SOURCE).with_suffix("").parts)): p for p in modules()}
    for name, path in names.items():
        wanted = {n for n, _ in imported(ast.parse(path.read_text()))}
        edges[name] = {n for n in wanted if n in names and n != name}
    return edges


def test_no_import_cycles() -> None:
    edges, done = graph(), set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_public_names_are_listed_and_few() -> None:
    import seatrial

    assert sorted(seatrial.__all__) == list(seatrial.__all__)
    assert len(seatrial.__all__) <= PUBLIC_NAMES_MOST
    missing = [name for name in seatrial.__all__ if not hasattr(seatrial, name)]
    assert not missing


@pytest.mark.parametrize(
    ("part", "source", "rule"),
    [
        ("judge", "import time", "pure"),
        ("judge", "from seatrial.engine import x", "not below"),
        ("faults", "from seatrial.runtimes import x", "not below"),
        ("engine", "import time\ntime.time()", "outside the clock"),
        ("faults", "import random\nrandom.random()", "seeded"),
        ("plan", "def f():\n" + "    x = 1\n" * 61, "60 are allowed"),
    ],
)
def test_the_shape_test_itself_catches(part: str, source: str, rule: str) -> None:
    tree = ast.parse(source)
    found = layer_faults(part, tree, "x") + purity_faults(part, tree, "x") + banned_calls(part, tree, "x")
    assert any(rule in f for f in found + length_faults(tree, 1, "x")), found
