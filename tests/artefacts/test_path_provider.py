"""The path provider: what the user built, held still for the run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from seatrial.artefacts import LocalPath, Workshop
from seatrial.errors import UsageError
from seatrial.plan import Artefact


def artefact(path: str, **options: object) -> Artefact:
    return Artefact(name="app", provider="path", package=path, version="dev", options=options)


def build(base: Path) -> Path:
    folder = base / "build"
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "serve"
    program.write_text("#!/bin/sh\necho one\n")
    program.chmod(0o755)
    (folder / "current").symlink_to("bin/serve")
    return program


def test_an_edit_during_the_run_does_not_change_what_is_tried(shop: Workshop, tmp_path: Path, said: list[str]) -> None:
    program = build(tmp_path)
    first = asyncio.run(LocalPath(shop).install(artefact("build", version="1.2"), said.append))
    program.write_text("#!/bin/sh\necho two\n")
    copied = Path(first.values["bin"]) / "serve"
    assert "echo one" in copied.read_text()
    assert os.access(copied, os.X_OK)
    assert (first.root / "current").readlink() == Path("bin/serve")
    assert first.version == first.values["version"] == "1.2"
    second = asyncio.run(LocalPath(shop).install(artefact("build"), said.append))
    assert second.digest != first.digest
    assert second.root != first.root
    assert second.version == "dev"


def test_one_file(shop: Workshop, tmp_path: Path) -> None:
    program = build(tmp_path)
    got = asyncio.run(LocalPath(shop).install(artefact(str(program)), lambda line: None))
    assert Path(got.values["file"]).read_text() == program.read_text()
    assert got.values["bin"] == str(got.root)


def test_what_is_too_large_is_used_in_place_and_said(shop: Workshop, tmp_path: Path, said: list[str]) -> None:
    build(tmp_path)
    small = LocalPath(shop, copy_bytes=5)
    got = asyncio.run(small.install(artefact("build"), said.append))
    assert got.root == tmp_path / "build"
    assert "used where it stands" in said[0]
    assert "not of contents" in said[0]
    asked = asyncio.run(LocalPath(shop).install(artefact("build", copy=False), said.append))
    assert asked.root == tmp_path / "build"
    assert "as asked for" in said[-1]


@pytest.mark.parametrize("change", ["x bit", "name", "link", "content"])
def test_the_digest_sees_every_change(shop: Workshop, tmp_path: Path, change: str) -> None:
    program = build(tmp_path)
    before = asyncio.run(LocalPath(shop).install(artefact("build"), lambda line: None)).digest
    if change == "x bit":
        program.chmod(0o644)
    elif change == "name":
        program.rename(program.with_name("other"))
    elif change == "link":
        (tmp_path / "build" / "current").unlink()
        (tmp_path / "build" / "current").symlink_to("bin")
    else:
        program.write_text("#!/bin/sh\necho onE\n")
    assert asyncio.run(LocalPath(shop).install(artefact("build"), lambda line: None)).digest != before


def test_a_path_that_is_not_there(shop: Workshop) -> None:
    with pytest.raises(UsageError, match=r"artefacts\.app\.package = .*/nope: is not there; build it first"):
        asyncio.run(LocalPath(shop).install(artefact("nope"), lambda line: None))
