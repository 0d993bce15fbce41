"""The npm provider against the real registry."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from seatrial.artefacts import Npm, Workshop
from seatrial.errors import EnvironmentTrouble, UsageError
from seatrial.plan import Artefact

pytestmark = pytest.mark.real


def package(name: str, version: str, **options: object) -> Artefact:
    return Artefact(name="app", provider="npm", package=name, version=version, options=options)


def trouble(shop: Workshop, artefact: Artefact) -> str:
    with pytest.raises(EnvironmentTrouble) as caught:
        asyncio.run(Npm(shop).install(artefact, lambda line: None))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_package_gets_its_own_prefix(shop: Workshop, said: list[str]) -> None:
    got = asyncio.run(Npm(shop).install(package("is-number", "7.0.0", **{"with": ["is-odd@3.0.1"]}), said.append))
    script = "console.log(require('is-number')(7), require('is-odd')(7))"
    seen = subprocess.run([got.values["node"], "-e", script], cwd=got.root, capture_output=True, text=True)
    assert seen.stdout.strip() == "true true"
    assert got.version == "7.0.0"
    assert (Path(got.values["modules"]) / "is-number").is_dir()
    assert said[0] == "is-number 7.0.0: installing with npm ..."
    assert asyncio.run(Npm(shop).install(got.artefact, said.append)) == got


def test_a_program_is_in_bin(shop: Workshop) -> None:
    got = asyncio.run(Npm(shop).install(package("tiddlywiki", "5.4.1"), lambda line: None))
    program = Path(got.values["bin"]) / "tiddlywiki"
    assert subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip() == "5.4.1"


def test_unknown_versions_and_packages_say_what_there_is(shop: Workshop) -> None:
    text = trouble(shop, package("is-number", "7.0.9"))
    assert "the npm registry has no version 7.0.9" in text
    assert "7.0.0" in text
    assert "has no package 'seatrial-no-such-thing'" in trouble(shop, package("seatrial-no-such-thing", "1.0.0"))


def test_a_range_is_no_version(shop: Workshop) -> None:
    with pytest.raises(UsageError, match=r"\^7: is not an exact version.*today it is 7.0.0"):
        asyncio.run(Npm(shop).install(package("is-number", "^7"), lambda line: None))
    assert not list(shop.cache.root.glob("npm/is-number*"))


def test_no_network_is_said(shop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    assert "no network to the package source (ECONNREFUSED)" in trouble(shop, package("is-number", "7.0.0"))


def test_without_npm_the_next_step_is_said(shop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert trouble(shop, package("is-number", "7.0.0")) == "npm is not on this machine; install Node.js with npm"
